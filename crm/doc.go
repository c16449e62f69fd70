// Package crm is the cluster resource manager: the daemon that runs on every
// node, of which one is master, decides for all services of the cluster, and
// writes what it decided to manager_status.
//
// The core has no clock, goroutine or file of its own: Env gives it all three.
// [CRM.Iterate] is its one entry, used alike by the daemon, the simulator and
// the tests. [Manager.Round] is one round of the master. How a service may
// change its state is the table [Lifecycle].
//
// Full rounds come every ten seconds, as those of the Perl stack do. Events
// bring extra rounds in between, which decide and act as any other. What the
// stack does once a round and not because of something is left to the full
// ones: the lock and the watchdog are refreshed, idle rounds and those with an
// imbalance counted, groups tried, orders that were carried out renewed, an
// unchanged status written, and complaints repeated. A round may take long: as
// long as it comes further, service by service, lock and watchdog are refreshed
// within it.
package crm
