package envtest

import (
	"context"

	"pveha/pmxcfsio"
)

// FSWorld is a cluster whose cluster file system is under test, as the
// processes of its nodes see it. No daemon runs in it.
//
// The world of a clause has three nodes or more, all of them on, connected and
// with a working file system. Whatever [FSNames] names is in the state it says.
type FSWorld interface {
	// Nodes returns the names of the nodes, sorted.
	Nodes() []string
	// FS returns the file system as a process of the node uses it, the same at
	// every call.
	FS(node string) FS
	// Names returns what the suite may use.
	Names() FSNames
	// Advance lets time pass on all nodes, in seconds.
	Advance(seconds int64)
	// Slack is by how many seconds a world of real time may be late: zero where
	// time is simulated.
	Slack() int64
	// Set brings a node into a condition, or out of it. What the world cannot
	// do is errors.ErrUnsupported.
	Set(c Condition, node string, on bool) error
	// Lacks returns which conditions cannot be, and which methods of FS the
	// world has not, with the reason. The suite leaves out the clauses that
	// need it, after a look whether it is true.
	Lacks() map[Condition]string
}

// FS is a cluster file system as one process uses it; [RealFS] makes one of a
// *pmxcfsio.FS, whose comments say what the methods promise. What a world has
// not fails with errors.ErrUnsupported.
type FS interface {
	Lock(name string) FSLock
	Domain(ctx context.Context, name string, waiting func(string), body func(context.Context) error) error
	Read(ctx context.Context, name string) ([]byte, error)
	Write(ctx context.Context, name string, data []byte) error
	Remove(ctx context.Context, name string) error
	List(ctx context.Context, name string) ([]string, error)
	MoveGuest(ctx context.Context, t pmxcfsio.GuestType, id uint32, from, to string) error
	Quorate(ctx context.Context) (bool, error)
	Members(ctx context.Context) (pmxcfsio.Members, error)
	Guests(ctx context.Context) (pmxcfsio.Guests, error)
	Versions(ctx context.Context) (pmxcfsio.Versions, error)
}

// FSLock is a lock as one process uses it.
type FSLock interface {
	Take(ctx context.Context) error
	Release(ctx context.Context) error
}

// RealFS is the client under test.
func RealFS(f *pmxcfsio.FS) FS { return realFS{f} }

type realFS struct{ *pmxcfsio.FS }

func (f realFS) Lock(name string) FSLock { return f.NodeLock(name) }

// FSNames is what the suite uses of a file system.
type FSNames struct {
	// Locks are two different locks that nobody holds. The first can be
	// released by every node.
	Locks [2]string
	// Domain is a domain lock that nobody holds.
	Domain string
	// File is not there, in a folder that is. It must take status files.
	File string
	// Counted is a file that is not there, whose changes are counted.
	Counted string
	// Guest is the ID of a guest of type GuestQemu on the first node, and
	// NoGuest one that is free.
	Guest, NoGuest uint32
}

// What a world of the cluster file system may lack, beside [CutOff] and
// [NoFiles], which means here that pmxcfs was stopped and nothing is mounted.
const (
	// DeadMount: pmxcfs has died and left its mount behind.
	DeadMount Condition = "dead mount"
	// Domains: domain locks. Like those below it cannot be set.
	Domains Condition = "domain locks"
	// Folders: files of any name, and lists of them.
	Folders Condition = "folders"
	// Counters: change counters.
	Counters Condition = "change counters"
	// GuestFiles: files of guests that can be made and removed.
	GuestFiles Condition = "guest files"
)

var fsConditions = []Condition{CutOff, NoFiles, DeadMount, Domains, Folders, Counters, GuestFiles}
