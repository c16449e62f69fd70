// Package whatif answers what would be: where services would go when nodes
// fail, and why a service is where it is. It takes a picture of the cluster
// and lets the master's own code work on the picture, in memory and with a
// clock of its own. It has no way to change the cluster: what it is given can
// only be read.
package whatif
