package pmxcfsio

import (
	"context"
	"errors"
)

// Versions are the change counters of this node's pmxcfs. They start anew when
// it is restarted, which shows in StartTime.
type Versions struct {
	StartTime int64            // when pmxcfs was started, seconds since 1970
	Members   int64            // counter of the membership
	Guests    int64            // counter of the guest list
	Files     map[string]int64 // counters of the files that pmxcfs counts; 0 was not changed since StartTime
	KV        map[string]map[string]int64
}

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

// UsageRow is one line of usage data, split. "U" stands for unknown.
type UsageRow []string

// Versions returns the change counters.
func (f *FS) Versions(ctx context.Context) (Versions, error) {
	return Versions{}, errors.ErrUnsupported
}

// Members returns the membership.
func (f *FS) Members(ctx context.Context) (Members, error) {
	return Members{}, errors.ErrUnsupported
}

// Quorate reports whether the local node is in the quorate partition.
func (f *FS) Quorate(ctx context.Context) (bool, error) {
	return false, errors.ErrUnsupported
}

// Guests returns the guest list.
func (f *FS) Guests(ctx context.Context) (Guests, error) {
	return Guests{}, errors.ErrUnsupported
}

// Usage returns the newest usage data by key, such as "pve-vm-9.0/100".
func (f *FS) Usage(ctx context.Context) (map[string]UsageRow, error) {
	return nil, errors.ErrUnsupported
}

// KV returns what a node published under a key, such as "static-info";
// [ErrAbsent] when it has not. It needs the IPC.
func (f *FS) KV(ctx context.Context, node, key string) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// GuestProperties returns lines of the configurations of all guests, by ID and
// property. A guest without any of them is missing.
func (f *FS) GuestProperties(ctx context.Context, properties []string) (map[uint32]map[string]string, error) {
	return nil, errors.ErrUnsupported
}

// local looks at the symlink that is only there while pmxcfs is mounted, and
// whose write bit is the quorum.
func (f *FS) local(ctx context.Context) (Info, error) {
	return Info{}, errors.ErrUnsupported
}
