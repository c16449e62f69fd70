package fusemount

import (
	"fmt"
	"sync"
)

const rootID = 1

// inode is a name the kernel knows by a number. A file has no identity of its
// own: what is at the name now is what it stands for.
type inode struct {
	id       uint64
	parent   *inode
	name     string // "" once nothing is there any more
	lookups  uint64
	children int
	open     int
	hidden   bool // moved aside while open; goes with the last descriptor
	moving   bool // a rename or unlink of it is under way
}

type place struct {
	parent uint64
	name   string
}

// paths knows the paths of the kernel's numbers.
type paths struct {
	mu     sync.Mutex
	moved  sync.Cond // an inode stopped moving
	byID   map[uint64]*inode
	byName map[place]*inode
	last   uint64
	hides  uint32
}

func newPaths() *paths {
	root := &inode{id: rootID, lookups: 1}
	p := &paths{byID: map[uint64]*inode{rootID: root}, byName: map[place]*inode{}, last: rootID}
	p.moved.L = &p.mu
	return p
}

// path returns the path of an inode. It waits while the inode is being moved.
func (p *paths) path(id uint64) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.byID[id]
	for n != nil && n.moving {
		p.moved.Wait()
	}
	return pathOf(n)
}

// child returns the path of a name in a folder.
func (p *paths) child(parent uint64, name string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	folder, ok := pathOf(p.byID[parent])
	if folder != "" {
		folder += "/"
	}
	return folder + name, ok
}

func pathOf(n *inode) (string, bool) {
	path := ""
	for ; n != nil; n = n.parent {
		if n.id == rootID {
			return path, true
		}
		if n.name == "" {
			return "", false
		}
		if path != "" {
			path = "/" + path
		}
		path = n.name + path
	}
	return "", false
}

// lookup returns the number for a name and counts that the kernel knows it.
func (p *paths) lookup(parent uint64, name string) (uint64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	folder := p.byID[parent]
	if folder == nil {
		return 0, false
	}
	n := p.byName[place{parent, name}]
	if n == nil {
		p.last++
		n = &inode{id: p.last}
		p.byID[n.id] = n
		p.put(n, folder, name)
	}
	n.lookups++
	return n.id, true
}

func (p *paths) put(n, folder *inode, name string) {
	n.parent, n.name = folder, name
	folder.children++
	p.byName[place{folder.id, name}] = n
}

// take removes an inode from its name.
func (p *paths) take(n *inode) {
	if n.parent == nil {
		return
	}
	key := place{n.parent.id, n.name}
	if p.byName[key] == n {
		delete(p.byName, key)
	}
	parent := n.parent
	n.parent, n.name = nil, ""
	parent.children--
	p.drop(parent)
}

// drop forgets an inode that nobody needs.
func (p *paths) drop(n *inode) {
	if n.id != rootID && n.lookups == 0 && n.children == 0 && n.open == 0 && p.byID[n.id] == n {
		delete(p.byID, n.id)
		p.take(n)
	}
}

func (p *paths) forget(id, lookups uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.byID[id]; n != nil {
		n.lookups -= min(lookups, n.lookups)
		p.drop(n)
	}
}

// hold marks what is at a name, if the kernel knows it, as being moved: whoever
// needs its path waits. The function returned ends that.
func (p *paths) hold(parent uint64, name string) (n *inode, release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n = p.byName[place{parent, name}]
	if n == nil {
		return nil, func() {}
	}
	n.moving = true
	return n, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		n.moving = false
		p.moved.Broadcast()
	}
}

// isOpen reports whether a descriptor is open on an inode that is in its place.
func (p *paths) isOpen(n *inode) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return n != nil && n.open > 0
}

// rename follows a rename that succeeded.
func (p *paths) rename(from, to place, hide bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.byName[to]; old != nil {
		p.take(old)
	}
	n, folder := p.byName[from], p.byID[to.parent]
	if n == nil || folder == nil {
		return
	}
	folder.children++ // so that it is not forgotten meanwhile
	p.take(n)
	folder.children--
	p.put(n, folder, to.name)
	n.hidden = n.hidden || hide
}

// remove follows the removal of a name.
func (p *paths) remove(at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.byName[at]; n != nil {
		p.take(n)
	}
}

func (p *paths) opened(id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.byID[id]; n != nil {
		n.open++
	}
}

// closed counts a closed descriptor and returns the path of a hidden file that
// it was the last one of.
func (p *paths) closed(id uint64) (hidden string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.byID[id]
	if n == nil {
		return "", false
	}
	n.open--
	if n.open == 0 && n.hidden {
		n.hidden = false
		hidden, ok = pathOf(n)
	}
	p.drop(n)
	return hidden, ok
}

// hiddenName makes a name to move an open file aside to, as libfuse does.
func (p *paths) hiddenName(id uint64) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hides++
	return fmt.Sprintf(".fuse_hidden%08x%08x", uint32(id), p.hides)
}

// placeOf returns the name an inode has.
func (p *paths) placeOf(id uint64) place {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.byID[id]
	if n == nil || n.parent == nil {
		return place{}
	}
	return place{n.parent.id, n.name}
}
