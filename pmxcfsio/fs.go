package pmxcfsio

import (
	"context"
	"errors"
	"sync"
	"time"
)

// DefaultRoot is where pmxcfs is mounted.
const DefaultRoot = "/etc/pve"

// MaxFileSize is the limit of one file in bytes (MEMDB_MAX_FILE_SIZE of pmxcfs:
// one byte more is EFBIG).
const MaxFileSize = 1 << 20

// How long calls may take. Reads are answered from memory at once, but for a
// second after a start of pmxcfs they hang. What changes something hangs while
// corosync finds out that a node is gone: 8 s in a small cluster and longer in
// a large one.
const (
	defaultReadTimeout  = 5 * time.Second
	defaultWriteTimeout = 30 * time.Second
)

// defaultMaxHanging is how many calls may hang before further ones wait.
const defaultMaxHanging = 16

// Config says which cluster file system to use, and how. The zero value is the
// mount of this node without IPC.
type Config struct {
	Root  string // where it is mounted; "": [DefaultRoot]
	Mount Mount  // nil: system calls below Root
	IPC   IPC    // nil: reads go through the mount
	Clock Clock  // nil: the machine's

	// ReadTimeout and WriteTimeout limit one call of the mount each. Zero is
	// 5 s and 30 s.
	ReadTimeout, WriteTimeout time.Duration
	// MaxHanging is how many calls of the mount may be under way at once. Zero
	// is 16.
	MaxHanging int

	// Journal is a file that pmxcfs writes whenever anything in the cluster
	// file system changes, on whatever node: the write-ahead log of its
	// database. A watcher looks closer when it is written. "" is
	// [DefaultJournal] if Root is [DefaultRoot], else none.
	Journal string
}

// DefaultJournal is the write-ahead log of the database of pmxcfs.
const DefaultJournal = "/var/lib/pve-cluster/config.db-wal"

// FS is a cluster file system as one process uses it. Its methods may be
// called from several goroutines. Names are from the root, with slashes:
// "ha/manager_status".
//
// Every method returns an [*Error], or the context's error if that ended the
// wait for a turn.
type FS struct {
	cfg   Config
	clock Clock
	mount *bounded
	tmp   tmpNames
	ipc   ipcState
	locks lockTable
	hold  time.Duration // limit of work under a domain lock
	rest  time.Duration // pause of watchers while a journal tells of changes
}

// ipcState is whether the IPC is left alone for a moment.
type ipcState struct {
	sync.Mutex
	failed bool
	until  time.Duration // on the clock of Boot
}

// New returns the cluster file system. It touches nothing: that there is no
// file system shows at the first use.
func New(cfg Config) (*FS, error) {
	if cfg.ReadTimeout < 0 || cfg.WriteTimeout < 0 || cfg.MaxHanging < 0 {
		return nil, errors.New("limits of the cluster file system must not be negative")
	}
	if cfg.Root == "" {
		cfg.Root = DefaultRoot
	}
	if cfg.Journal == "" && cfg.Root == DefaultRoot {
		cfg.Journal = DefaultJournal
	}
	if cfg.Clock == nil {
		cfg.Clock = SystemClock{}
	}
	if cfg.Mount == nil {
		cfg.Mount = systemMount{root: cfg.Root}
	}
	cfg.ReadTimeout = orDefault(cfg.ReadTimeout, defaultReadTimeout)
	cfg.WriteTimeout = orDefault(cfg.WriteTimeout, defaultWriteTimeout)
	cfg.MaxHanging = orDefault(cfg.MaxHanging, defaultMaxHanging)
	return &FS{cfg: cfg, clock: cfg.Clock, mount: newBounded(cfg), hold: DomainHold, rest: journaledInterval}, nil
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Root returns where the file system is mounted.
func (f *FS) Root() string { return f.cfg.Root }

// Mounted returns nil when pmxcfs is mounted and answers, else why not:
// [ErrNotMounted], [ErrStaleMount] or [ErrTimeout].
func (f *FS) Mounted(ctx context.Context) error {
	_, err := f.local(ctx)
	return err
}
