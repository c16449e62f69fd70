package cfsemu

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// The methods of this file answer the requests of pmxcfs's IPC, with the bytes
// and the errors it sends.

// request runs one request, after what is due and with the faults for it.
func (n *Node) request(name, what string, body func() ([]byte, syscall.Errno)) ([]byte, error) {
	c := n.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	if n.ready() != 0 {
		return nil, syscall.ECONNREFUSED
	}
	hit, errno := n.suffer(OpIPC, strings.TrimSuffix(name+"/"+what, "/"))
	if errno != 0 {
		return nil, errno
	}
	data, errno := body()
	if errno == 0 {
		errno = hit.after
	}
	if errno != 0 {
		return nil, errno
	}
	if hit.limit >= 0 && hit.limit < int64(len(data)) {
		data = data[:hit.limit]
	}
	return data, nil
}

// FSVersion returns the change counters, the text of .version.
func (n *Node) FSVersion() ([]byte, error) {
	return n.request("get_fs_version", "", func() ([]byte, syscall.Errno) { return []byte(n.versionText()), 0 })
}

// ClusterInfo returns the members, the text of .members.
func (n *Node) ClusterInfo() ([]byte, error) {
	return n.request("get_cluster_info", "", func() ([]byte, syscall.Errno) { return []byte(n.membersText()), 0 })
}

// GuestList returns the guests, the text of .vmlist.
func (n *Node) GuestList() ([]byte, error) {
	return n.request("get_guest_list", "", func() ([]byte, syscall.Errno) { return []byte(n.vmlistText()), 0 })
}

// SetStatus stores a value of the node's own status and tells the others. No
// data removes it. Keys below "rrd/" are usage data, which ends with a zero
// byte.
func (n *Node) SetStatus(key string, data []byte) error {
	_, err := n.request("set_status", key, func() ([]byte, syscall.Errno) { return nil, n.broadcastStatus(key, data) })
	return err
}

// Status returns a value of a node's status; an empty name is the own node.
func (n *Node) Status(node, key string) ([]byte, error) {
	return n.request("get_status", node+"/"+key, func() ([]byte, syscall.Errno) {
		kv := n.kv
		if node != "" && node != n.name {
			kv = nil
			if other := n.c.Node(node); other != nil {
				kv = n.otherKV[other.id]
			}
		}
		e, ok := kv[key]
		if !ok {
			return nil, syscall.ENOENT
		}
		return bytes.Clone(e.data), 0
	})
}

// Config returns the content of a file.
func (n *Node) Config(name string) ([]byte, error) {
	name = strings.TrimLeft(name, "/")
	return n.request("get_config", name, func() ([]byte, syscall.Errno) {
		e := n.tree.lookup(name)
		switch {
		case e == nil, e.folder:
			return nil, syscall.ENOENT
		case e.poisoned():
			n.crash()
			return nil, syscall.ENOTCONN
		}
		return bytes.Clone(e.data), 0
	})
}

// Log adds a line to the cluster log.
func (n *Node) Log(user, tag string, pid uint32, priority uint8, text string) error {
	_, err := n.request("log_cluster_msg", tag, func() ([]byte, syscall.Errno) {
		if priority > 7 {
			return nil, 0
		}
		e := n.newEntry(user, tag, pid, priority, text)
		n.log.insert(e)
		for _, m := range n.peers() {
			m.log.insert(e)
		}
		return nil, 0
	})
	return err
}

// ClusterLog returns the newest lines of the cluster log, of one user where
// one is given; a limit of 0 means 50.
func (n *Node) ClusterLog(user string, limit uint32) ([]byte, error) {
	if limit == 0 {
		limit = shownLogEntries
	}
	return n.request("get_cluster_log", user, func() ([]byte, syscall.Errno) {
		return []byte(n.log.dump(user, int(limit))), 0
	})
}

// RRDDump returns the usage data, the text of .rrd. A zero byte follows it
// when it was made anew, which happens every two seconds at most.
func (n *Node) RRDDump() ([]byte, error) {
	return n.request("get_rrd_dump", "", func() ([]byte, syscall.Errno) { return []byte(n.rrdDump()), 0 })
}

// GuestProperties returns properties of the configuration of one guest, or of
// all for the ID 0, as JSON. ENOENT means there is no such guest.
func (n *Node) GuestProperties(id uint32, properties ...string) ([]byte, error) {
	return n.request("get_guest_config_properties", strconv.FormatUint(uint64(id), 10), func() ([]byte, syscall.Errno) {
		if id > 0 && id < 100 || len(properties) == 0 {
			return nil, syscall.EINVAL
		}
		if _, ok := n.guests.ids[id]; id > 0 && !ok {
			return nil, syscall.ENOENT
		}
		return n.guestProperties(id, properties)
	})
}

func (n *Node) guestProperties(only uint32, properties []string) ([]byte, syscall.Errno) {
	ids := n.guests.sorted()
	if only > 0 {
		ids = []uint32{only}
	}
	var b bytes.Buffer
	b.WriteString("{\n")
	first := true
	for _, id := range ids {
		e := n.tree.lookup(n.guests.ids[id].confPath(id))
		if e == nil || e.folder || e.data == nil {
			if only > 0 {
				return nil, syscall.EIO
			}
			continue
		}
		found := findProperties(e.data, properties)
		if found == "" {
			continue
		}
		if !first {
			b.WriteString(",\n")
		}
		first = false
		fmt.Fprintf(&b, "\"%d\":{%s}", id, found)
	}
	b.WriteString("\n}\n")
	return b.Bytes(), 0
}

// findProperties reads the lines "property: value" before the first section
// and returns those asked for as members of a JSON object.
func findProperties(conf []byte, properties []string) string {
	values := make([]string, len(properties))
	for line := range strings.SplitSeq(string(conf), "\n") {
		if strings.HasPrefix(line, "[") {
			break
		}
		for i, property := range properties {
			rest, ok := strings.CutPrefix(line, property+":")
			if value := strings.Trim(rest, " \t\n\v\f\r"); ok && value != "" {
				values[i] = value
			}
		}
	}
	var members []string
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	for i, value := range values {
		if value != "" {
			members = append(members, `"`+properties[i]+`": "`+escape.Replace(value)+`"`)
		}
	}
	return strings.Join(members, ",")
}
