// Package pveenv is the environment of the daemons on a node of a Proxmox VE
// cluster: [CRM] behind crm.Env and [LRM] behind lrm.Env.
//
// Files, locks and membership are the cluster file system's (package pmxcfsio),
// read anew at every call; what a file means is worked out again only when its
// text has changed. Beside it stand what a node has of its own: the watchdog
// multiplexer, systemd, the journal, the notification system, the network
// links. Each of them may be gone or hang at any time: every use has a limit,
// what fails is an error that says what to do, and no failure ends a daemon.
//
// Run watches for what a round should look at and wakes SleepUntil. Without it
// everything works, and rounds come by the clock alone.
package pveenv
