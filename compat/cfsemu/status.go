package cfsemu

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// countedPaths are the files .version counts the changes of, in its order.
var countedPaths = []string{
	"corosync.conf", "corosync.conf.new", "storage.cfg", "user.cfg", "domains.cfg", "notifications.cfg",
	"priv/notifications.cfg", "priv/shadow.cfg", "priv/acme/plugins.cfg", "priv/tfa.cfg", "priv/token.cfg",
	"priv/wg-keys.cfg", "datacenter.cfg", "vzdump.cron", "vzdump.conf", "jobs.cfg", "ha/crm_commands",
	"ha/manager_status", "ha/resources.cfg", "ha/rules.cfg", "ha/groups.cfg", "ha/fence.cfg", "status.cfg",
	"replication.cfg", "ceph.conf", "sdn/vnets.cfg", "sdn/zones.cfg", "sdn/controllers.cfg", "sdn/subnets.cfg",
	"sdn/ipams.cfg", "sdn/mac-cache.json", "sdn/pve-ipam-state.json", "sdn/dns.cfg", "sdn/fabrics.cfg",
	"sdn/route-maps.cfg", "sdn/prefix-lists.cfg", "sdn/.running-config", "virtual-guest/cpu-models.conf",
	"virtual-guest/profiles.cfg", "firewall/cluster.fw", "mapping/directory.cfg", "mapping/pci.cfg",
	"mapping/usb.cfg",
}

// CountedPaths are the files .version counts the changes of, in its order.
func CountedPaths() []string { return slices.Clone(countedPaths) }

func (n *Node) record(name string) {
	if _, ok := n.counters[name]; ok {
		n.counters[name]++
	}
}

// recordReload counts a change of everything: the tree was replaced.
func (n *Node) recordReload() {
	for _, name := range countedPaths {
		n.counters[name]++
	}
}

type kvEntry struct {
	data    []byte
	version uint32
}

// kvStore is the key-value status of one node, as another sees it.
type kvStore map[string]kvEntry

func (s kvStore) set(key string, data []byte) {
	if len(data) == 0 {
		delete(s, key)
		return
	}
	old, known := s[key]
	e := kvEntry{data: slices.Clone(data)}
	if known {
		e.version = old.version + 1
	}
	s[key] = e
}

func (s kvStore) writeVersions(b *strings.Builder, node string) {
	fmt.Fprintf(b, "\"%s\": {\n", node)
	for i, key := range slices.Sorted(maps.Keys(s)) {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(b, "\"%s\": %d", key, s[key].version)
	}
	b.WriteString("}\n")
}

func (n *Node) versionText() string {
	var b strings.Builder
	b.Grow(2048)
	b.WriteString("{\n\"starttime\": ")
	b.WriteString(strconv.FormatInt(n.started, 10))
	writeCounter := func(name string, value uint32) {
		b.WriteString(",\n\"")
		b.WriteString(name)
		b.WriteString("\": ")
		b.WriteString(strconv.FormatUint(uint64(value), 10))
	}
	writeCounter("clinfo", n.clinfo)
	writeCounter("vmlist", n.guests.version)
	for _, name := range countedPaths {
		writeCounter(name, n.counters[name])
	}
	b.WriteString(",\n\"kvstore\": {\n")
	n.kv.writeVersions(&b, n.name)
	if !n.c.cfg.Local {
		for _, other := range n.c.nodes {
			if kv := n.otherKV[other.id]; kv != nil {
				b.WriteString(",\n")
				kv.writeVersions(&b, other.name)
			}
		}
	}
	b.WriteString("}\n}\n")
	return b.String()
}

func (n *Node) membersText() string {
	var b strings.Builder
	if n.c.cfg.Local {
		fmt.Fprintf(&b, "{\n\"nodename\": \"%s\",\n\"version\": %d\n}\n", n.name, n.clinfo)
		return b.String()
	}
	fmt.Fprintf(&b, "{\n\"nodename\": \"%s\",\n\"version\": %d,\n", n.name, n.clinfo)
	fmt.Fprintf(&b, "\"cluster\": { \"name\": \"%s\", \"version\": %d, \"nodes\": %d, \"quorate\": %d },\n",
		n.c.cfg.Name, n.confVersion, len(n.c.nodes), digit(n.quorate))
	b.WriteString("\"nodelist\": {\n")
	for i, m := range n.c.nodes {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, "  \"%s\": { \"id\": %d, \"online\": %d", m.name, m.id, digit(n.online[m.id]))
		if ip, ok := n.ips[m.id]; ok {
			fmt.Fprintf(&b, ", \"ip\": \"%s\"", ip)
		}
		b.WriteString("}")
	}
	b.WriteString("\n  }\n}\n")
	return b.String()
}

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// vmlistText is kept while the list is unchanged, because it is long and asked
// for often.
func (n *Node) vmlistText() string {
	if n.vmlist != "" && n.vmlistOf == n.guests.version {
		return n.vmlist
	}
	var b strings.Builder
	fmt.Fprintf(&b, "{\n\"version\": %d", n.guests.version)
	if len(n.guests.ids) == 0 {
		b.WriteString("\n")
	} else {
		b.WriteString(",\n\"ids\": {\n")
		for i, id := range n.guests.sorted() {
			if i > 0 {
				b.WriteString(",\n")
			}
			g := n.guests.ids[id]
			fmt.Fprintf(&b, "\"%d\": { \"node\": \"%s\", \"type\": \"%s\", \"version\": %d }", id, g.node, g.kind, g.version)
		}
		b.WriteString("}\n")
	}
	b.WriteString("\n}\n")
	n.vmlist, n.vmlistOf = b.String(), n.guests.version
	return n.vmlist
}

const corosyncConf = "corosync.conf"

var configVersion = regexp.MustCompile(`config_version\s*:\s*(\d+)`)

// readCorosyncConf takes over the version of a new configuration.
func (n *Node) readCorosyncConf() {
	e := n.tree.lookup(corosyncConf)
	if e == nil {
		return
	}
	found := configVersion.FindSubmatch(e.data)
	if found == nil {
		return
	}
	version, err := strconv.ParseUint(string(found[1]), 10, 64)
	if err == nil && version > n.confVersion {
		n.confVersion = version
		n.clinfo++
	}
}

// corosyncText is the configuration a cluster starts with.
func (c *Cluster) corosyncText() string {
	var b strings.Builder
	b.WriteString("logging {\n  debug: off\n  to_syslog: yes\n}\n\nnodelist {\n")
	for _, n := range c.nodes {
		fmt.Fprintf(&b, "  node {\n    name: %s\n    nodeid: %d\n    quorum_votes: 1\n    ring0_addr: %s\n  }\n", n.name, n.id, n.ip)
	}
	b.WriteString("}\n\nquorum {\n  provider: corosync_votequorum\n}\n\n")
	fmt.Fprintf(&b, "totem {\n  cluster_name: %s\n  config_version: %d\n  interface {\n    linknumber: 0\n  }\n", c.cfg.Name, len(c.nodes))
	b.WriteString("  ip_version: ipv4-6\n  link_mode: passive\n  secauth: on\n  version: 2\n}\n")
	return b.String()
}
