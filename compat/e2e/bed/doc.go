// Package bed makes clusters of real machines, as far as one machine can: each
// node is a container with systemd as its first process, its own network and
// its own disk. /etc/pve is a mount of the emulated cluster file system, the
// watchdog a device on a board outside of the node, which cuts the power. The
// guests are processes that notice when they run twice.
//
// Nothing of it is linked by a product. The programs inside the nodes that
// stand for hardware and guests are the test binary itself, under their names:
// see [Lab.Main].
package bed
