package hactl

import (
	"context"
	"io"
	"time"

	"pveha/crm"
	"pveha/hactl/whatif"
	"pveha/internal/ha"
)

// Env is the machine and the cluster as the commands see them.
type Env struct {
	Clock   Clock
	Host    Host
	Cluster Cluster
	Editor  Editor
	Watcher Watcher
	// Picture takes a picture of the whole cluster, for the questions what
	// would be and why; nil: there is nobody to ask.
	Picture func(ctx context.Context) (Picture, error)
}

// Picture is a cluster at one moment. It can be asked, and nothing else: a
// *whatif.Snapshot is one.
type Picture interface {
	Explain(sid ha.SID) (*crm.Explanation, error)
	Fail(nodes ...string) (*whatif.Report, error)
}

// Clock is the time of this node.
type Clock interface {
	// Now is the wall clock; its location is the one in which times are shown.
	Now() time.Time
	// Sleep waits. It returns the error of ctx when that ends earlier.
	Sleep(ctx context.Context, d time.Duration) error
}

// Host is this node and who runs the command.
type Host interface {
	Node() string // name of this node
	IsRoot() bool
}

// Cluster is the cluster file system, to look at. Names are from its root:
// "ha/resources.cfg".
type Cluster interface {
	// Access returns nil when the cluster can be asked. What else it returns
	// is wrapped with [ErrUnreachable] when pmxcfs does not answer, and with
	// [ErrNotMounted] when it does but is not mounted.
	Access(ctx context.Context) error
	// Read returns the content of a file. The error of one that is missing is
	// fs.ErrNotExist.
	Read(ctx context.Context, name string) ([]byte, error)
	// Quorate tells whether this node is in the quorate partition.
	Quorate(ctx context.Context) (bool, error)
	// Nodes returns the names of the cluster's nodes, sorted.
	Nodes(ctx context.Context) ([]string, error)
	// Guests returns all guests of the cluster by ID.
	Guests(ctx context.Context) (map[string]Guest, error)
}

// Guest is where a guest is and what it is: "qemu" or "lxc".
type Guest struct{ Node, Type string }

// Editor changes files of the cluster file system.
type Editor interface {
	// MakeFolder creates a folder; one that is there already is no failure.
	MakeFolder(ctx context.Context, name string) error
	// Write replaces a file as a whole: everybody sees either the old or the
	// new content, whatever happens to this process.
	Write(ctx context.Context, name string, data []byte) error
	// Locked runs body while it holds the cluster-wide lock over the files of
	// the HA stack. waiting is called with a line of text about once a second
	// while another one holds it. A failure of body is returned as it is; its
	// context ends when the lock can no longer be relied on.
	Locked(ctx context.Context, waiting func(text string), body func(context.Context) error) error
}

// Watcher tells about changes.
type Watcher interface {
	// Changes returns a channel that gets a value when a file of the HA stack
	// changed, and every few seconds when none did: what was fresh grows old.
	// It is closed when ctx ends.
	Changes(ctx context.Context) (<-chan struct{}, error)
}

// Stdio is where a command is run from.
type Stdio struct {
	Out, Err io.Writer
	// Getenv returns a variable of the environment; nil: all are unset.
	Getenv func(name string) string
	// Terminal is the terminal that Out is; nil: Out is none.
	Terminal Terminal
}

// Terminal is a terminal with somebody in front of it.
type Terminal interface {
	// Size returns columns and rows, 0 for what is unknown.
	Size() (columns, rows int)
	// Keys returns the keys pressed until release is called. Until then keys
	// are not shown and need no Enter.
	Keys() (keys <-chan byte, release func(), err error)
}

func (s Stdio) getenv(name string) string {
	if s.Getenv == nil {
		return ""
	}
	return s.Getenv(name)
}
