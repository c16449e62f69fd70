package cfsemu

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A GuestType is the kind of a guest, as .vmlist names it.
type GuestType string

// The types of guests.
const (
	GuestQEMU   GuestType = "qemu"
	GuestLXC    GuestType = "lxc"
	GuestOpenVZ GuestType = "openvz"
)

func (t GuestType) folder() string {
	if t == GuestQEMU {
		return "qemu-server"
	}
	return string(t)
}

// place is where a guest's configuration lies.
type place struct {
	node string
	kind GuestType
}

type guest struct {
	place
	version uint32
}

// guestAt returns the guest a path is the configuration of, if it is one:
// nodes/NODE/TYPE/ID.conf, whoever NODE is.
func guestAt(name string) (id uint32, at place, ok bool) {
	dir, base := splitPath(name)
	if id, ok = guestID(base); !ok {
		return 0, place{}, false
	}
	rest, ok := strings.CutPrefix(dir, "nodes/")
	if !ok {
		return 0, place{}, false
	}
	node, folder, ok := strings.Cut(rest, "/")
	if !ok || !validNodeName(node) {
		return 0, place{}, false
	}
	for _, kind := range []GuestType{GuestQEMU, GuestOpenVZ, GuestLXC} {
		if folder == kind.folder() {
			return id, place{node, kind}, true
		}
	}
	return 0, place{}, false
}

// guestID reads the name of a configuration, such as 100.conf.
func guestID(base string) (uint32, bool) {
	digits, ok := strings.CutSuffix(base, ".conf")
	if !ok || digits == "" || digits[0] < '1' || digits[0] > '9' {
		return 0, false
	}
	id, err := strconv.ParseUint(digits, 10, 32)
	return uint32(id), err == nil
}

// guestList is one node's view of the guests, with its counters.
type guestList struct {
	version uint32 // of the list
	counter uint32 // of the versions of the guests
	ids     map[uint32]guest
}

func (l *guestList) put(id uint32, at place) {
	l.counter++
	l.ids[id] = guest{at, l.counter}
}

func (l *guestList) register(id uint32, at place) {
	l.version++
	l.put(id, at)
}

func (l *guestList) remove(id uint32) {
	l.version++
	delete(l.ids, id)
}

// elsewhere reports whether the ID is taken in another place than at.
func (l *guestList) elsewhere(id uint32, at place) bool {
	g, ok := l.ids[id]
	return ok && g.place != at
}

// rebuild lists the guests of t anew.
func (l *guestList) rebuild(t *tree) {
	l.version++
	l.ids = map[uint32]guest{}
	nodes := t.lookup("nodes")
	if nodes == nil {
		return
	}
	for _, node := range slices.Sorted(maps.Keys(nodes.entries)) {
		for _, kind := range []GuestType{GuestQEMU, GuestOpenVZ, GuestLXC} {
			folder := nodes.entries[node].entries[kind.folder()]
			if folder == nil || !validNodeName(node) {
				continue
			}
			for _, name := range slices.Sorted(maps.Keys(folder.entries)) {
				id, ok := guestID(name)
				if _, taken := l.ids[id]; ok && !taken && !folder.entries[name].folder {
					l.put(id, place{node, kind})
				}
			}
		}
	}
}

func (l *guestList) sorted() []uint32 { return slices.Sorted(maps.Keys(l.ids)) }

// confPath is where the configuration of a guest lies.
func (g guest) confPath(id uint32) string {
	return "nodes/" + g.node + "/" + g.kind.folder() + "/" + strconv.FormatUint(uint64(id), 10) + ".conf"
}
