package cfsemu

import (
	"maps"
	"slices"
	"strings"
	"syscall"
)

// The virtual files at the top of the mount.
const (
	VersionFile    = ".version"
	MembersFile    = ".members"
	VMListFile     = ".vmlist"
	RRDFile        = ".rrd"
	ClusterLogFile = ".clusterlog"
	DebugFile      = ".debug"
)

const shownLogEntries = 50 // in .clusterlog

var virtualModes = map[string]uint32{
	VersionFile:    0o440,
	MembersFile:    0o440,
	VMListFile:     0o440,
	RRDFile:        0o440,
	ClusterLogFile: 0o440,
	DebugFile:      0o640,
}

// links are the symbolic links at the top, each to a folder of the own node.
var links = map[string]string{
	"local":       "",
	"qemu-server": "/qemu-server",
	"openvz":      "/openvz",
	"lxc":         "/lxc",
}

func (n *Node) linkTarget(name string) (string, bool) {
	below, ok := links[name]
	return "nodes/" + n.name + below, ok
}

// special reports whether a name at the top is none of the tree's.
func special(name string) bool {
	_, link := links[name]
	_, file := virtualModes[name]
	return link || file
}

func specialNames() []string {
	return append(slices.Sorted(maps.Keys(virtualModes)), slices.Sorted(maps.Keys(links))...)
}

// refresh makes the text of a virtual file anew: pmxcfs does so when the file
// is looked at (stat), never when it is read.
func (n *Node) refresh(name string) string {
	text := ""
	switch name {
	case VersionFile:
		text = n.versionText()
	case MembersFile:
		text = n.membersText()
	case VMListFile:
		text = n.vmlistText()
	case RRDFile:
		text = strings.TrimSuffix(n.rrdDump(), "\x00")
	case ClusterLogFile:
		text = n.log.dump("", shownLogEntries)
	case DebugFile:
		text = "0\n"
		if n.debug {
			text = "1\n"
		}
	}
	n.texts[name] = text
	return text
}

// writeVirtual writes to a virtual file; .debug alone can be.
func (n *Node) writeVirtual(name string, data []byte, offset int64) (int, syscall.Errno) {
	if name != DebugFile || offset != 0 || len(data) < 2 {
		return 0, syscall.EIO
	}
	switch string(data[:2]) {
	case "0\n":
		n.debug = false
	case "1\n":
		n.debug = true
	default:
		return 0, syscall.EIO
	}
	return 2, 0
}
