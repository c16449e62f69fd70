// Package worker runs the orders of the LRM in processes of their own, which
// outlive the daemon, and keeps their results until the daemon has passed them
// on.
//
// A [Pool] belongs to the daemon. It starts one child per order, the daemon's
// own program again with the verb `worker`, and that calls [Child]. The two
// meet in a folder below /run:
//
//	orders/N.json       one order: what it is, who carries it out, how it ended
//	orders/N.err        what the child said on standard error, should it crash
//	guests/vm-100.lock  flock'ed by whoever acts on a guest
//
// A child holds the lock of its guest from before it is started until it ends,
// so that whatever becomes of the daemon, two orders never act on one guest at
// the same time, and whoever finds the lock free knows that the child is gone.
// A record is replaced as a whole, never changed: by the pool when it makes the
// order, by the child when it begins and when it has the result.
package worker
