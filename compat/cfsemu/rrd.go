package cfsemu

import (
	"maps"
	"slices"
	"strings"
	"syscall"
)

// Ages of usage data, in seconds.
const (
	rrdLife  = 300 // of an entry that is not sent again
	rrdCache = 2   // of the text made of them
)

// rrdEntry is the last usage data of a node, guest or storage.
type rrdEntry struct {
	data string
	time uint32
}

func (n *Node) setRRD(key string, data []byte) bool {
	if len(data) == 0 || len(data) >= 4096 || data[len(data)-1] != 0 {
		return false
	}
	text, _, _ := strings.Cut(string(data), "\x00")
	n.rrd[key] = rrdEntry{text, n.wall()}
	return true
}

// rrdDump returns a line for each entry. A text made anew ends with a zero
// byte, one that is kept from before does not.
func (n *Node) rrdDump() string {
	now := n.wall()
	if n.rrdText != nil && int64(now)-int64(n.rrdMade) < rrdCache {
		return *n.rrdText
	}
	maps.DeleteFunc(n.rrd, func(_ string, e rrdEntry) bool { return int32(now-e.time) > rrdLife })
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(n.rrd)) {
		b.WriteString(key + ":" + n.rrd[key].data + "\n")
	}
	text := b.String()
	n.rrdText, n.rrdMade = &text, now
	return text + "\x00"
}

// setStatus stores a value of a node's status, on one node's view of it.
func (n *Node) setStatus(owner *Node, key string, data []byte) bool {
	if rrd, ok := strings.CutPrefix(key, "rrd/"); ok {
		return n.setRRD(rrd, data)
	}
	if key == "nodeip" {
		ip, _, ended := strings.Cut(string(data), "\x00")
		if !ended || len(data) >= 256 {
			return false
		}
		if owner == n {
			n.ip = ip
		}
		n.setIP(owner)
		return true
	}
	if owner == n {
		n.kv.set(key, data)
	} else {
		n.setOther(owner, key, data)
	}
	return true
}

// broadcastStatus stores a value on the node and on all it can reach.
func (n *Node) broadcastStatus(key string, data []byte) syscall.Errno {
	if len(data) > MaxStatusSize {
		return syscall.EFBIG
	}
	if !n.setStatus(n, key, data) {
		return syscall.ENOMEM
	}
	for _, m := range n.peers() {
		m.setStatus(n, key, data)
	}
	return 0
}

// peers are the other members a message reaches that needs no quorum.
func (n *Node) peers() []*Node {
	reach := n.c.reach(n)
	var peers []*Node
	for _, m := range n.group {
		if m != n && slices.Contains(reach, m) && m.state == StateRunning {
			peers = append(peers, m)
		}
	}
	return peers
}
