// Package envtest is the contract between the daemons and their environment:
// what crm.Env and lrm.Env promise beyond the types of their methods, as one
// test suite. Whatever the daemons are run in, simulated or real, is held to
// it by a [World], so that what is proven of the daemons in the simulator holds
// on a cluster as well.
//
// A second suite, of an [FSWorld], is the contract of the cluster file system
// and its client: what one node may rely on when others use the same files and
// locks. The first suite asks what the daemons see, the second what the real
// environment is built on.
//
// It links package testing and belongs in tests.
package envtest
