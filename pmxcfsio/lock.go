package pmxcfsio

import (
	"context"
	"errors"
	"path"
	"sync"
	"syscall"
	"time"
)

// LockLifetime is how long a lock lives without a refresh (CFS_LOCK_TIMEOUT of
// pmxcfs).
const LockLifetime = 120 * time.Second

// lockFolder is where the locks are.
const lockFolder = "priv/lock"

// Lock is a lock that a daemon keeps: the manager's, or that of a node's LRM.
// To pmxcfs it belongs to the node, so on one node only one process may use a
// lock of one name.
//
// pmxcfs counts the lifetime from when it hears of a refresh. The holder counts
// from before it asked, on a clock that nobody steps and that runs while the
// machine is suspended; so the holder's time ends first.
type Lock struct {
	fs   *FS
	path string
	turn chan struct{} // held by the call under way, one that hangs included

	rival rival // of whoever has the turn

	mu   sync.Mutex
	kept keeping
}

// keeping is what a process remembers of a lock.
type keeping struct {
	taken bool          // it was taken, and not given back
	since time.Duration // on the clock of Boot: before it was last taken or refreshed
	lost  bool          // another node has it
	mtime int64         // time of its folder, as far as known
	rival time.Duration // on the clock of Boot: until then another node is known to keep it
}

// left is for how long nobody else can have the lock.
func (k keeping) left(now time.Duration) time.Duration {
	if !k.taken {
		return 0
	}
	return max(0, k.since+LockLifetime-now)
}

// checkLock refuses names that pmxcfs takes for no lock.
func checkLock(name string) error {
	if path.Dir(name) != lockFolder {
		return &Error{Op: "lock", Name: name, Kind: ErrBadName}
	}
	return checkName("lock", name)
}

// lockTable has the locks of a process by name.
type lockTable struct {
	mu     sync.Mutex
	byName map[string]*Lock
}

// NodeLock returns the lock of this name, such as [ManagerLock], the same value
// at every call.
func (f *FS) NodeLock(name string) *Lock {
	f.locks.mu.Lock()
	defer f.locks.mu.Unlock()
	if f.locks.byName == nil {
		f.locks.byName = map[string]*Lock{}
	}
	l := f.locks.byName[name]
	if l == nil {
		l = &Lock{fs: f, path: LockPath(name), turn: make(chan struct{}, 1)}
		f.locks.byName[name] = l
	}
	return l
}

// Left is for how long nobody else can have the lock. It is zero when this
// process does not hold it, or learned that another node has it. That a refresh
// failed for another reason does not shorten it.
func (l *Lock) Left() time.Duration {
	k := l.recall()
	if k.lost {
		return 0
	}
	return k.left(l.fs.clock.Boot())
}

// Kept reports whether another node is known to have the lock: the last Take met
// it, and had seen it refreshed less than [LockLifetime] ago. The lock is then
// to be had when its folder is gone ([WatchConfig.Awaits]), or when Kept has ended.
func (l *Lock) Kept() bool {
	return l.fs.clock.Boot() < l.recall().rival
}

// Take takes the lock, or refreshes it when it was last taken or refreshed
// less than [LockLifetime] ago. Nil: held. The texts of its errors are those
// of the Perl stack ("cfs lock update failed - Permission denied", "can't get
// cfs lock").
//
// [ErrHeld] means that another node has it. After any other error it may
// still be this node's, and the next try may succeed; see [Lock.Left].
func (l *Lock) Take(ctx context.Context) error {
	if err := checkLock(l.path); err != nil {
		return err
	}
	refreshing := l.recall().left(l.fs.clock.Boot()) > 0
	err := l.exclusive(ctx, func(k *keeping, now moment) error {
		if k.left(now.boot) > 0 {
			return l.refresh(k, now)
		}
		return l.make(k, now)
	})
	if err == nil {
		if l.Left() > 0 {
			return nil
		}
		err = ErrTimeout // this process stood still, and another may have it by now
	}
	return l.takeFailure(ctx, refreshing, err)
}

// takeFailure gives an error of Take the text of the Perl stack, and learns
// from it that another node has the lock.
func (l *Lock) takeFailure(ctx context.Context, refreshing bool, err error) error {
	wrapped := l.fs.refusal(ctx, "lock", l.path, err)
	var e *Error
	if !errors.As(wrapped, &e) {
		return wrapped
	}
	switch {
	case errors.Is(e.Kind, ErrNotMounted):
		e.text = "can't create '" + path.Join(l.fs.cfg.Root, lockFolder) + "' (pmxcfs not mounted?)"
	case refreshing:
		e.text = "cfs lock update failed - " + Reason(e.cause())
	default:
		e.text = "can't get cfs lock"
	}
	switch {
	case isOne(e.Kind, ErrExists, ErrAbsent):
		e.Kind = ErrHeld
	case errors.Is(e.Kind, ErrDenied): // and not for the lack of quorum
		e.Kind = ErrHeld
		l.mu.Lock()
		l.kept.lost = true
		l.mu.Unlock()
	}
	return e
}

// Release gives the lock back if this process holds it, and else is
// [ErrHeld]. When it fails with another error the lock may still be held.
func (l *Lock) Release(ctx context.Context) error {
	err := l.exclusive(ctx, func(k *keeping, now moment) error {
		if k.lost || k.left(now.boot) == 0 {
			return &fault{ErrHeld, nil}
		}
		// Any node may remove any lock. A refresh succeeds for the owner alone,
		// and keeps the others away until the folder is removed.
		if err := l.refresh(k, now); err != nil {
			return err
		}
		if k.left(l.fs.clock.Boot()) < LockLifetime/2 {
			return ErrTimeout // this process stood still, and may do so again
		}
		err := l.fs.mount.Rmdir(l.path)
		if err == nil {
			*k = keeping{}
		}
		return err
	})
	return l.fs.refusal(ctx, "release", l.path, err)
}

// exclusive makes a call that is the only one of this lock: while one hangs the
// next must not begin, because nobody knows which would be first. What the call
// learns is remembered even when its caller has gone.
func (l *Lock) exclusive(ctx context.Context, call func(*keeping, moment) error) error {
	limited, cancel := context.WithTimeout(ctx, l.fs.cfg.WriteTimeout)
	defer cancel()
	select {
	case l.turn <- struct{}{}:
	case <-limited.Done():
		return timeout(ctx.Err())
	}
	err := l.fs.mount.do(limited, func() error {
		defer func() { <-l.turn }()
		next := l.recall()
		err := l.fs.mount.guarded(func() error { return call(&next, l.now()) })
		var f *fault
		if !errors.As(err, &f) { // else it was not the cluster file system that answered
			l.remember(next)
		}
		return err
	}, nil)
	if neverBegan(err) {
		<-l.turn
	}
	return err
}

func (l *Lock) recall() keeping {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept
}

func (l *Lock) remember(k keeping) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = k
}

// moment is one time on both clocks.
type moment struct {
	boot time.Duration
	wall int64 // seconds since 1970, at least 1: 0 would ask to drop the lock
}

func (l *Lock) now() moment {
	return moment{boot: l.fs.clock.Boot(), wall: max(1, l.fs.clock.Now().Unix())}
}

// refresh gives the lock its whole lifetime again. pmxcfs refuses a time before
// that of the folder, which may be ahead when the wall clock was set back; an
// equal time is as good as a later one.
func (l *Lock) refresh(k *keeping, now moment) error {
	m := l.fs.mount
	mtime := max(now.wall, k.mtime)
	err := m.Utime(l.path, mtime)
	if errors.Is(err, syscall.EACCES) {
		if info, unknown := m.Lstat(l.path); unknown == nil && info.ModTime > mtime {
			mtime = info.ModTime
			err = m.Utime(l.path, mtime)
		}
	}
	switch {
	case err == nil:
		*k = keeping{taken: true, since: now.boot, mtime: mtime}
	case errors.Is(err, syscall.ENOENT):
		// Nobody has it, so it can be taken at once.
		*k = keeping{}
	}
	return err
}

// make takes the lock if it is free, and else asks for it to be dropped, which
// happens when nobody refreshed it for its lifetime.
func (l *Lock) make(k *keeping, now moment) error {
	err := l.fs.mount.makeLock(l.path)
	switch {
	case err == nil:
		*k = keeping{taken: true, since: now.boot, mtime: now.wall}
	case errors.Is(err, syscall.EEXIST):
		*k = keeping{}
		if info, unknown := l.fs.mount.Lstat(l.path); unknown == nil && l.rival.refreshed(info.ModTime, now.boot) {
			k.rival = l.rival.quiet
			return err
		}
		_ = l.fs.mount.Utime(l.path, 0) // always refused, and heard all the same
	}
	return err
}

// rival is what is known of the other node that has the lock. Its refreshes
// show in the time of the folder.
//
// To ask for a lock to be dropped whose holder is seen to refresh it would
// only burden the cluster: every such request goes to all nodes. And the node
// that decides goes by its wall clock: when that is set forward, it would drop
// a lock that is in use.
type rival struct {
	seen  bool
	at    time.Duration // on the clock of Boot: the last look
	mtime int64         // what it showed
	quiet time.Duration // until then there is nothing to ask for
}

// attributesAge is how old attributes may be: the kernel keeps them.
const attributesAge = time.Second

// refreshed takes in a look at the folder and reports whether the lock was
// refreshed less than its lifetime ago, as far as known: not longer ago than
// the look before the one that showed another time.
func (r *rival) refreshed(mtime int64, now time.Duration) bool {
	if r.seen && r.mtime != mtime {
		r.quiet = r.at - attributesAge + LockLifetime
	}
	r.seen, r.at, r.mtime = true, now, mtime
	return now < r.quiet
}

// makeLock makes the folder of a lock, and the folder of all locks before the
// first.
func (b *bounded) makeLock(name string) error {
	err := b.Mkdir(name)
	if !errors.Is(err, syscall.ENOENT) {
		return err
	}
	if err := b.Mkdir(lockFolder); err != nil && !errors.Is(err, syscall.EEXIST) {
		return err
	}
	return b.Mkdir(name)
}
