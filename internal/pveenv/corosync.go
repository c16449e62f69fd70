package pveenv

import (
	"net/netip"
	"strings"
)

// corosyncFile is the configuration of the cluster's communication.
const corosyncFile = "corosync.conf"

// clusterAddresses returns the addresses of the local node on the cluster's own
// links: those of corosync.conf, and the one that the node has announced. A
// link that is configured by a host name counts by the latter alone.
func (n *node) clusterAddresses() []netip.Addr {
	var addresses []netip.Addr
	if raw, err := n.read(corosyncFile); err == nil {
		addresses = corosyncAddresses(string(raw), n.cfg.Node)
	}
	if members, err := n.fs.Members(n.ctx); err == nil {
		if a, err := netip.ParseAddr(members.Nodes[n.cfg.Node].IP); err == nil {
			addresses = append(addresses, a.Unmap())
		}
	}
	return addresses
}

// corosyncAddresses returns the addresses ringN_addr of a node in
// corosync.conf, which is made of blocks in braces and lines "key: value".
func corosyncAddresses(text, node string) []netip.Addr {
	var all, current []netip.Addr
	name := ""
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		block, opens := strings.CutSuffix(line, "{")
		key, value, _ := strings.Cut(line, ":")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch {
		case opens && strings.TrimSpace(block) == "node":
			name, current = "", nil
		case line == "}":
			if name == node {
				all = append(all, current...)
			}
			name, current = "", nil
		case key == "name":
			name = value
		case strings.HasPrefix(key, "ring") && strings.HasSuffix(key, "_addr"):
			if a, err := netip.ParseAddr(value); err == nil {
				current = append(current, a.Unmap())
			}
		}
	}
	return all
}
