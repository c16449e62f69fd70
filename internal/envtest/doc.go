// Package envtest is the contract between the daemons and their environment:
// what crm.Env and lrm.Env promise beyond the types of their methods, as one
// test suite. Whatever the daemons are run in, simulated or real, is held to
// it by a [World], so that what is proven of the daemons in the simulator holds
// on a cluster as well.
//
// It links package testing and belongs in tests.
package envtest
