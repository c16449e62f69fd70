// Package ha is the vocabulary of the HA stack: what the daemons, the command
// line and the simulator call things, and the shape of the status files they
// share through the cluster file system.
//
// The package holds names, values and their text forms. It decides nothing and
// reads no file.
package ha
