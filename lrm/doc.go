// Package lrm is the local resource manager: the daemon that runs on every
// node and carries out there what the master of the CRM decided. It holds the
// agent lock of its node and a watchdog while it has services to protect.
//
// The core has no clock, goroutine or file of its own: Env gives it all three,
// and Agent the guests. [LRM.Iterate] is its one entry, used alike by the
// daemon, the simulator and the tests.
package lrm
