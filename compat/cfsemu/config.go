package cfsemu

import (
	"fmt"
	"net/netip"
	"time"
)

// Limits and lifetimes of pmxcfs.
const (
	LockLifetime  = 120 * time.Second // of a lock directory that nobody refreshes; whole seconds, more than
	MaxFileSize   = 1 << 20           // bytes of one file
	MaxStatusSize = 32 << 10          // bytes of one value of a node's status
	WriteSize     = 128 << 10         // bytes of one message that writes: longer writes are torn
	GroupID       = 33                // www-data, the group of every file

	blockSize = 4096
	blocks    = 128 << 20 / blockSize
	maxInodes = 256 << 10
)

// Config describes a cluster.
type Config struct {
	// Nodes are the names of the nodes. Their IDs are 1, 2, 3, ... in this
	// order. One node without corosync.conf is what Local makes.
	Nodes []string
	// Name is the cluster's name, "lab" if empty.
	Name string
	// IPs are the addresses the nodes announce, 10.77.0.ID if missing.
	IPs map[string]netip.Addr
	// Clock is the cluster's time; nil is the machine's.
	Clock Clock
	// Timing says how long things take. The zero value is a cluster where
	// everything happens at once.
	Timing Timing
	// Journal, if set, is told whenever pmxcfs on a node writes its database: for
	// every change that takes effect there, whoever made it. It is called with
	// the cluster's lock held, so it must not wait, nor call the cluster.
	Journal func(node string)
	// Local makes every node one without a cluster, as pmxcfs -l does: alone,
	// quorate, with a tree that no other node has.
	Local bool
	// Bare leaves out the folders that Proxmox VE makes in a new cluster:
	// nodes/NAME/{qemu-server,lxc,openvz,priv}, priv and ha.
	Bare bool
}

// Timing holds how long pmxcfs and corosync take, by the cluster's clock.
type Timing struct {
	// Drop is how long changes block on both sides after a node is gone without
	// a goodbye, until corosync has formed the rings that are left.
	Drop time.Duration
	// Leave is how long after that all but the first of the calls under way on a
	// node without quorum fail.
	Leave time.Duration
	// Heal is the time from a mended network to one ring.
	Heal time.Duration
	// Join is the time from the start of corosync to the node's quorum.
	Join time.Duration
	// Start is how long every call hangs after the start of pmxcfs.
	Start time.Duration
	// Message is the way of one message to every node, the sender's own too.
	Message time.Duration
	// Unlock is how long after a request to drop a stale lock it is dropped.
	Unlock time.Duration
}

// MeasuredTiming is how long things took in a real cluster of three nodes.
func MeasuredTiming() Timing {
	return Timing{
		Drop:   7980 * time.Millisecond,
		Leave:  470 * time.Millisecond,
		Heal:   2300 * time.Millisecond,
		Join:   3150 * time.Millisecond,
		Start:  980 * time.Millisecond,
		Unlock: 5 * time.Millisecond,
	}
}

func (cfg *Config) complete() error {
	if len(cfg.Nodes) == 0 {
		return fmt.Errorf("cfsemu: a cluster needs a node: fill Config.Nodes")
	}
	seen := map[string]bool{}
	for _, name := range cfg.Nodes {
		if !validNodeName(name) {
			return fmt.Errorf("cfsemu: %q is no name of a node: use letters, digits and hyphens", name)
		}
		if seen[name] {
			return fmt.Errorf("cfsemu: node %s is named twice", name)
		}
		seen[name] = true
	}
	if cfg.Name == "" {
		cfg.Name = "lab"
	}
	if cfg.Clock == nil {
		cfg.Clock = RealClock{}
	}
	return nil
}

// validNodeName reports whether pmxcfs takes guests of such a folder for guests
// of a node.
func validNodeName(name string) bool {
	for i, c := range []byte(name) {
		inside := i > 0 && i < len(name)-1
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-' && inside:
		default:
			return false
		}
	}
	return name != ""
}
