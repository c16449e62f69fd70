// Package fusemount puts a real FUSE mount in front of each node of an
// emulated cluster, as pmxcfs does: through libfuse 2's path-based interface,
// with the kernel's checks of permissions, names and attributes kept for a
// second, and files that a process holds open moved aside instead of replaced.
//
// It needs root and /dev/fuse.
package fusemount
