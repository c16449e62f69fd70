// Package pmxcfsio is the cluster file system as the daemons and the command
// line use it: pmxcfs, mounted at /etc/pve.
//
// Reads go through pmxcfs's IPC where there is one, because an open file is
// not replaced atomically: while any process of the writing node has the target
// of a rename open, every node sees it missing for milliseconds. The mount is
// for writing, locking and listing, and what reads fall back on. No call keeps
// a descriptor or a working folder inside the mount, which would keep pmxcfs
// from restarting after a crash.
//
// No call hangs longer than its context or the limits of [Config] allow, even
// when the mount does. What a hanging call does when it comes back is undone
// where it can be, and counted where it cannot.
//
// A lock is a folder below priv/lock. pmxcfs drops it when nobody refreshed it
// for [LockLifetime] and somebody asks for that. [Lock] is one that is kept,
// [FS.Domain] one that is held around some work.
package pmxcfsio
