package pmxcfsio

import (
	"context"
	"errors"
	"time"
)

// LockLifetime is how long a lock lives without a refresh (CFS_LOCK_TIMEOUT of
// pmxcfs).
const LockLifetime = 120 * time.Second

// Lock is a lock that a daemon keeps: the manager's, or that of a node's LRM.
// It belongs to the node, so that two locks of one name on one node are the
// same: one process must use one Lock.
type Lock struct{}

// NodeLock returns the lock of this name below priv/lock, the same value at
// every call.
func (f *FS) NodeLock(name string) *Lock { return &Lock{} }

// Take takes the lock, or refreshes it when it was last taken or refreshed
// less than [LockLifetime] ago. Nil: held. The texts of its errors are those
// of the Perl stack ("cfs lock update failed - Permission denied", "can't get
// cfs lock").
//
// [ErrHeld] means that another node has it. After any other error it may
// still be this node's, and the next try may succeed.
func (l *Lock) Take(ctx context.Context) error { return errors.ErrUnsupported }

// Left is for how long nobody else can have the lock, as far as this process
// knows: zero once that is over, and when the last Take failed.
func (l *Lock) Left() time.Duration { return 0 }

// Release gives the lock back if this process holds it, else returns
// [ErrHeld].
func (l *Lock) Release(ctx context.Context) error { return errors.ErrUnsupported }

// Limits of a domain lock, as the Perl stack has them: how long to try for it,
// and how long the work under it may take.
const (
	DomainWait = 10 * time.Second
	DomainHold = 60 * time.Second
)

// Domain runs body under the lock domain-NAME, which every writer of the
// configuration takes, on whatever node. waiting, if not nil, gets a message
// about once a second while the lock is held elsewhere. After [DomainHold] the
// context of body ends; body must end with it.
//
// An error of the locking itself reads as that of the Perl stack ("cfs-lock
// 'domain-ha' error: got lock request timeout"); an error of body is returned
// as it is.
func (f *FS) Domain(ctx context.Context, name string, waiting func(msg string), body func(ctx context.Context) error) error {
	return errors.ErrUnsupported
}
