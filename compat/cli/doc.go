// Package cli replays recordings of the Perl ha-manager command with this
// project's, and tells where the two differ.
//
// A recording is one call: the files of the cluster before it, the arguments,
// the environment, the time, then standard output, standard error, the exit
// status and the files after it. One that needs a live file system names the
// condition it was made in; the same condition is made here with the emulated
// cluster file system.
//
// Some things cannot be the same and are not compared: which of several error
// lines comes first, in which order the nodes of a group are written, and where
// a new rule stands among rules of the same ordinal, all of which the Perl
// command takes from a hash; and warnings of the Perl interpreter about
// uninitialized values. An exit status is 0 or it is not: what
// the Perl command leaves with, other than 0 and 255, is an error number that
// some earlier call left behind.
//
// Everything else that differs must be in the list of exceptions, once and
// with a reason, and everything in the list must differ.
package cli
