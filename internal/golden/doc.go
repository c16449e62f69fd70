// Package golden is the test kit for recorded results: files that hold what is
// expected, the -update flag that rewrites them, and the folder of recordings
// that lies beside the checkout.
//
// It links package testing and belongs in tests; what a command needs too is
// in package corpus.
package golden
