// Package demo shows a simulated cluster at work: a table of nodes and guests,
// the log beside it, and in the end what happened when. The cluster is the
// simulated one of the tests, with the real CRM and LRM on each node; the demo
// only watches.
package demo
