// Package daemon is the shell of the daemons: their command line (start, stop,
// restart, status), the way into the background, the pid file and its lock,
// signals as messages to the goroutine that owns the daemon, and the protocol
// by which systemd is told how a service fares.
//
// What a person, a script or a unit of the Perl stack sees is the same as with
// that stack: files, outputs, exit codes, log lines.
package daemon
