// Package cfsemu emulates pmxcfs, the cluster file system of Proxmox VE, for
// tests: one [Cluster] of nodes, each with its own replica of the tree, its own
// counters, lock timers and virtual files, joined by totally ordered messages
// as the originals are by corosync.
//
// The package has no file system of its own: a [Node] answers system calls in
// memory, with the errors a process of that node would get. Package fusemount
// puts a real mount in front of each node.
//
// Nothing here runs by itself. A cluster has no goroutine: whatever has become
// due by its [Clock] happens when somebody calls it, and a call that has to
// wait (for the end of a membership change, or in an injected fault) looks
// itself. With a [ManualClock] two hours pass in a microsecond.
//
// What is emulated, and what is not, is listed by the numbers of the measured
// facts in FACTS.md.
package cfsemu
