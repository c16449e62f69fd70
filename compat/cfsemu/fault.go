package cfsemu

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// An Op names what a process asks of the file system, for faults.
type Op string

// The operations of a mount, and OpIPC for requests through the IPC, whose
// "path" is the name of the request, a slash, and its path or key.
const (
	OpStat     Op = "stat" // look-ups too
	OpReadlink Op = "readlink"
	OpList     Op = "list"
	OpOpen     Op = "open"
	OpRead     Op = "read"
	OpCreate   Op = "create"
	OpWrite    Op = "write"
	OpTruncate Op = "truncate"
	OpMkdir    Op = "mkdir"
	OpRmdir    Op = "rmdir"
	OpUnlink   Op = "unlink"
	OpRename   Op = "rename" // the path is the target's
	OpUtime    Op = "utime"
	OpChmod    Op = "chmod"
	OpChown    Op = "chown"
	OpStatfs   Op = "statfs"
	OpIPC      Op = "ipc"
)

// Ops are all operations.
func Ops() []Op {
	return []Op{
		OpStat, OpReadlink, OpList, OpOpen, OpRead, OpCreate, OpWrite, OpTruncate, OpMkdir, OpRmdir, OpUnlink,
		OpRename, OpUtime, OpChmod, OpChown, OpStatfs, OpIPC,
	}
}

// A FaultKind says what a fault does to a call.
type FaultKind string

// The kinds of faults.
const (
	// FaultError makes the call fail with Errno: instead of its effect, or
	// after it where After is set.
	FaultError FaultKind = "error"
	// FaultDelay lets the call wait for Delay by the cluster's clock, then go on.
	FaultDelay FaultKind = "delay"
	// FaultHang lets the call wait until the fault is removed, then go on.
	FaultHang FaultKind = "hang"
	// FaultTruncate lets a read see, and a write store, the first Bytes of the
	// file alone.
	FaultTruncate FaultKind = "truncate"
)

// A Fault is a misbehaviour of some calls.
type Fault struct {
	Node string // whose calls; every node's if empty
	Op   Op     // which calls; every one if empty
	// Path is a pattern of path.Match for the path below the mount point, such
	// as "ha/*"; with "/**" at its end it means everything below. Empty means
	// every path.
	Path  string
	Skip  int // so many calls go through first
	Count int // so many calls are hit; 0 means all until the fault is removed

	Kind  FaultKind
	Errno syscall.Errno // of FaultError
	After bool          // of FaultError: the effect happens, its news is bad
	Delay time.Duration // of FaultDelay
	Bytes int64         // of FaultTruncate
}

func (f *Fault) check() error {
	switch f.Kind {
	case FaultError:
		if f.Errno == 0 {
			return fmt.Errorf("cfsemu: a fault that makes calls fail needs an errno")
		}
	case FaultDelay:
		if f.Delay <= 0 {
			return fmt.Errorf("cfsemu: a fault that delays calls needs a delay above 0")
		}
	case FaultHang:
	case FaultTruncate:
		if f.Bytes < 0 {
			return fmt.Errorf("cfsemu: a file cannot be cut to %d bytes", f.Bytes)
		}
	default:
		return fmt.Errorf("cfsemu: %q is no kind of fault: use error, delay, hang or truncate", f.Kind)
	}
	if f.Op != "" && !slices.Contains(Ops(), f.Op) {
		return fmt.Errorf("cfsemu: %q is no operation of the file system", f.Op)
	}
	if _, err := path.Match(strings.TrimSuffix(f.Path, "/**"), ""); err != nil {
		return fmt.Errorf("cfsemu: the pattern %q of a fault: %w", f.Path, err)
	}
	return nil
}

func (f *Fault) matches(node string, op Op, name string) bool {
	if f.Node != "" && f.Node != node || f.Op != "" && f.Op != op {
		return false
	}
	if f.Path == "" {
		return true
	}
	if folder, below := strings.CutSuffix(f.Path, "/**"); below {
		parts := strings.Count(folder, "/") + 1
		elements := strings.Split(name, "/")
		if len(elements) <= parts {
			return false
		}
		ok, _ := path.Match(folder, strings.Join(elements[:parts], "/"))
		return ok
	}
	ok, _ := path.Match(f.Path, name)
	return ok
}

// activeFault is an injected fault with its counts.
type activeFault struct {
	Fault
	id      int
	skipped int
	hits    int
	removed bool
}

// faultHit is what faults do to a call besides making it wait.
type faultHit struct {
	after syscall.Errno
	limit int64 // bytes; -1 for no limit
}

// Inject makes calls misbehave and returns a number to remove the fault by.
// Where several faults match a call, the older ones act first.
func (c *Cluster) Inject(f Fault) (id int, err error) {
	if err := f.check(); err != nil {
		return 0, err
	}
	if f.Node != "" {
		if _, err := c.find(f.Node); err != nil {
			return 0, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	c.faultID++
	c.faults = append(c.faults, &activeFault{Fault: f, id: c.faultID})
	return c.faultID, nil
}

// RemoveFault ends a fault; calls that hang in it go on. It reports whether
// the fault was there.
func (c *Cluster) RemoveFault(id int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.removeFaults(func(f *activeFault) bool { return f.id == id })
}

// Hits returns how many calls a fault has hit so far; 0 when it was removed.
func (c *Cluster) Hits(id int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.faults {
		if f.id == id {
			return f.hits
		}
	}
	return 0
}

// ClearFaults ends all faults.
func (c *Cluster) ClearFaults() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removeFaults(func(*activeFault) bool { return true })
}

func (c *Cluster) removeFaults(which func(*activeFault) bool) bool {
	var kept []*activeFault
	found := false
	for _, f := range c.faults {
		if which(f) {
			f.removed, found = true, true
		} else {
			kept = append(kept, f)
		}
	}
	c.faults = kept
	c.broadcast()
	return found
}

// suffer lets the faults that match a call act on it. A node that ended while
// the call waited fails it as the kernel does.
func (n *Node) suffer(op Op, name string) (faultHit, syscall.Errno) {
	hit := faultHit{limit: -1}
	if len(n.c.faults) == 0 {
		return hit, 0
	}
	run := n.run
	for _, f := range slices.Clone(n.c.faults) {
		if f.removed || f.Count > 0 && f.hits >= f.Count || !f.matches(n.name, op, name) {
			continue
		}
		if f.skipped < f.Skip {
			f.skipped++
			continue
		}
		f.hits++
		if errno := n.strike(f, &hit, run); errno != 0 {
			return hit, errno
		}
	}
	return hit, 0
}

func (n *Node) strike(f *activeFault, hit *faultHit, run int) syscall.Errno {
	ended := func() bool { return n.run != run }
	switch f.Kind {
	case FaultError:
		if !f.After {
			return f.Errno
		}
		hit.after = f.Errno
	case FaultDelay:
		n.c.wait(n.c.now.Add(f.Delay), ended)
	case FaultHang:
		n.c.wait(time.Time{}, func() bool { return f.removed || ended() })
	case FaultTruncate:
		hit.limit = f.Bytes
	}
	if ended() || n.c.closed {
		return syscall.ECONNABORTED
	}
	return 0
}
