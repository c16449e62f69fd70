package pmxcfsio

import (
	"context"
	"errors"
)

// Members is who is in the cluster.
type Members struct {
	Node    string // the local node
	Version int64  // changes with every change
	Cluster *Cluster
	Nodes   map[string]Member // by name; empty without a cluster
}

// Cluster is absent on a node that is in none.
type Cluster struct {
	Name    string
	Version int64 // of corosync.conf
	Nodes   int   // how many are configured
	Quorate bool
}

// Member is a node of the cluster.
type Member struct {
	ID     int
	Online bool   // its pmxcfs takes part
	IP     string // "" until the node has told it
}

// Quorate reports whether the local node may write. A node without a cluster
// may.
func (m Members) Quorate() bool { return m.Cluster == nil || m.Cluster.Quorate }

// Guests is every guest of the cluster.
type Guests struct {
	Version int64 // changes with every change; differs between nodes
	ByID    map[uint32]Guest
}

// Guest is the place of a guest's configuration.
type Guest struct {
	Node    string
	Type    GuestType
	Version int64 // of its configuration; differs between nodes
}

// The virtual files.
const (
	versionFile = ".version"
	membersFile = ".members"
	guestsFile  = ".vmlist"
	usageFile   = ".rrd"
)

// Versions returns the change counters.
func (f *FS) Versions(ctx context.Context) (Versions, error) {
	return generated(ctx, f, versionFile, IPC.Versions, parseVersions)
}

// Members returns the membership.
func (f *FS) Members(ctx context.Context) (Members, error) {
	return generated(ctx, f, membersFile, IPC.ClusterInfo, parseMembers)
}

// Guests returns the guest list.
func (f *FS) Guests(ctx context.Context) (Guests, error) {
	return generated(ctx, f, guestsFile, IPC.GuestList, parseGuests)
}

// Usage returns the newest usage data by key, such as "pve-vm-9.0/100".
func (f *FS) Usage(ctx context.Context) (map[string]UsageRow, error) {
	return generated(ctx, f, usageFile, IPC.Usage, parseUsage)
}

// Quorate reports whether the local node is in the quorate partition.
func (f *FS) Quorate(ctx context.Context) (bool, error) {
	if f.cfg.IPC != nil {
		if m, err := f.Members(ctx); err == nil {
			return m.Quorate(), nil
		}
	}
	info, err := f.local(ctx)
	return err == nil && info.Mode&writeBit != 0, err
}

// garbledTries is how often a text is asked for that makes no sense: all
// processes of a node share the buffer pmxcfs makes it in, so that two pieces
// of it may not fit together.
const garbledTries = 5

// generated reads a text that pmxcfs generates, and parses it.
func generated[T any](
	ctx context.Context, f *FS, name string, request func(IPC, context.Context) ([]byte, error), parse func([]byte) (T, error),
) (T, error) {
	var none T
	var wrong error
	for range garbledTries {
		text, err := f.text(ctx, name, request)
		if err != nil {
			return none, failure("read", name, err)
		}
		value, err := parse(text)
		if err == nil {
			return value, nil
		}
		wrong = err
		if err := f.clock.Sleep(ctx, replacePause); err != nil {
			return none, failure("read", name, timeout(err))
		}
	}
	return none, &Error{Op: "read", Name: name, Kind: ErrGarbled, Err: wrong}
}

// text returns what pmxcfs generates, by IPC or else from the virtual file.
func (f *FS) text(ctx context.Context, name string, request func(IPC, context.Context) ([]byte, error)) ([]byte, error) {
	text, err := f.ask(ctx, func(ctx context.Context) ([]byte, error) { return request(f.cfg.IPC, ctx) })
	if !errors.Is(err, errUnanswered) {
		return text, err
	}
	return f.readWhole(ctx, name)
}
