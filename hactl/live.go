package hactl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"pveha/pmxcfsio"
)

// LiveConfig says what a live environment is made of.
type LiveConfig struct {
	FS *pmxcfsio.FS
	// IPC is what FS asks, or nil. It tells a file system that is not mounted
	// from a pmxcfs that does not run.
	IPC  pmxcfsio.IPC
	Node string // name of this node
	Root bool   // run by root
	// Clock is the time of this node; nil: the machine's.
	Clock Clock
}

// Live returns the environment of the cluster that this node is in.
func Live(cfg LiveConfig) Env {
	if cfg.Clock == nil {
		cfg.Clock = pmxcfsio.SystemClock{}
	}
	l := &live{cfg: cfg}
	return Env{Clock: cfg.Clock, Host: l, Cluster: l, Editor: l, Watcher: l}
}

type live struct{ cfg LiveConfig }

func (l *live) Node() string { return l.cfg.Node }

func (l *live) IsRoot() bool { return l.cfg.Root }

// reachError is a failure to reach pmxcfs with what the system said.
type reachError struct{ kind, cause error }

func (e *reachError) Error() string { return e.kind.Error() }

func (e *reachError) Unwrap() []error { return []error{e.kind, e.cause} }

func (l *live) Access(ctx context.Context) error {
	err := l.cfg.FS.Mounted(ctx)
	if err == nil {
		return nil
	}
	// Without a mount nobody listens, unless pmxcfs says so itself.
	cause := error(syscall.ECONNREFUSED)
	if l.cfg.IPC != nil {
		_, asked := l.cfg.IPC.Versions(ctx)
		if asked == nil {
			return &reachError{ErrNotMounted, err}
		}
		var errno syscall.Errno
		if errors.As(asked, &errno) {
			cause = errno
		}
	}
	return &reachError{ErrUnreachable, cause}
}

func (l *live) Read(ctx context.Context, name string) ([]byte, error) {
	return l.cfg.FS.Read(ctx, name)
}

func (l *live) Quorate(ctx context.Context) (bool, error) { return l.cfg.FS.Quorate(ctx) }

func (l *live) Nodes(ctx context.Context) ([]string, error) {
	members, err := l.cfg.FS.Members(ctx)
	if err != nil {
		return nil, err
	}
	var nodes []string
	for node := range members.Nodes {
		nodes = append(nodes, node)
	}
	slices.Sort(nodes)
	return nodes, nil
}

func (l *live) Guests(ctx context.Context) (map[string]Guest, error) {
	list, err := l.cfg.FS.Guests(ctx)
	if err != nil {
		return nil, err
	}
	guests := make(map[string]Guest, len(list.ByID))
	for id, guest := range list.ByID {
		guests[strconv.FormatUint(uint64(id), 10)] = Guest{Node: guest.Node, Type: string(guest.Type)}
	}
	return guests, nil
}

func (l *live) MakeFolder(ctx context.Context, name string) error {
	err := l.cfg.FS.Mkdir(ctx, name)
	if errors.Is(err, pmxcfsio.ErrExists) {
		return nil
	}
	return err
}

func (l *live) Write(ctx context.Context, name string, data []byte) error {
	return l.cfg.FS.Write(ctx, name, data)
}

func (l *live) Locked(ctx context.Context, waiting func(string), body func(context.Context) error) error {
	return l.cfg.FS.Domain(ctx, pmxcfsio.HADomain, waiting, body)
}

// changeTick is how often a change is told when nothing happens: what was fresh
// grows old.
const changeTick = 5 * time.Second

func (l *live) Changes(ctx context.Context) (<-chan struct{}, error) {
	if _, err := l.Nodes(ctx); err != nil {
		return nil, err
	}
	nodes := func() []string {
		nodes, _ := l.Nodes(ctx) // nobody is watched while nobody can be asked
		return nodes
	}
	watcher := l.cfg.FS.Watch(ctx, pmxcfsio.WatchConfig{Nodes: nodes})
	changes := make(chan struct{}, 1)
	go func() {
		defer close(changes)
		defer watcher.Close()
		tick := time.NewTicker(changeTick)
		defer tick.Stop()
		for {
			select {
			case _, open := <-watcher.Events():
				if !open {
					return
				}
			case <-tick.C:
			}
			select {
			case changes <- struct{}{}:
			default: // one that was not seen yet stands for all
			}
		}
	}()
	return changes, nil
}

// Hostname returns the name of this node as the cluster knows it: that of the
// machine up to the first dot.
func Hostname() (string, error) {
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("cannot tell the name of this node: %w", err)
	}
	for i := range len(name) {
		if name[i] == '.' {
			return name[:i], nil
		}
	}
	return name, nil
}
