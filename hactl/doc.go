// Package hactl is the ha-manager command: its words, its texts, and what they
// do to the files of the HA stack.
//
// [Run] is the command: an environment, streams and arguments in, an exit
// status out. One table (see table.go) describes every command as data; parsing,
// help, completion and the manual page all come from it.
//
// What the Perl command knows is answered as it answers: the same option
// syntax, the same checks in the same order, the same output and messages.
// Words that it does not know are marked as new in the table. They have no
// short forms and stay out of the help that scripts can see, so that nothing
// that worked, or failed, with the Perl command does anything else now.
//
// A command is either a reader or a writer. A reader gets a [Query], which has
// no way to change anything; only a writer gets an [Edit].
package hactl
