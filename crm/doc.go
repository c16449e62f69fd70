// Package crm is the cluster resource manager: the daemon that runs on every
// node, of which one is master, decides for all services of the cluster, and
// writes what it decided to manager_status.
//
// The core has no clock, goroutine or file of its own: Env gives it all three.
// [CRM.Iterate] is its one entry, used alike by the daemon, the simulator and
// the tests. [Manager.Round] is one round of the master. How a service may
// change its state is the table [Lifecycle].
package crm
