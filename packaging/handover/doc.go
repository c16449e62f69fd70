// Package handover puts one HA stack of a node in the place of the other: the
// daemons of this project in that of the Perl package pve-ha-manager, and back.
// It is what the command pve-ha-switch does.
//
// The files of the Perl package are diverted (dpkg-divert) and links to ours
// stand in their place; at no moment is one of them missing. The daemons change
// hands only after the LRM has gone through the protocol of a restart: it tells
// the master, the master freezes the services of the node, and only then the LRM
// ends. Guests run on, and nobody starts, stops or moves them meanwhile.
//
// Every step may be repeated. A run that was broken off is completed by the next
// one, in either direction, and whatever a broken run leaves is a stack that
// works, because every combination of files of both does:
//
//   - a file is always one of both, replaced by one rename;
//   - a drop-in that makes systemd wait for the readiness of a daemon is there
//     only while the daemon's file is ours, as the Perl daemons would never
//     tell it;
//   - the units to start again are written down before the first is stopped.
//
// The watchdog multiplexer is left alone. It protects guests while it has
// clients, its device may reset the machine when it is closed, and both stacks
// speak to either one. The next boot of the node starts the one whose file is
// in place.
package handover
