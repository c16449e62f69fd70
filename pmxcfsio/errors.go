package pmxcfsio

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
)

// What can be wrong, for errors.Is. The errno is reachable in the same way
// where there is one (errors.Is(err, syscall.EACCES)).
var (
	// ErrAbsent: there is no such file, and the file system is there to tell.
	ErrAbsent = fs.ErrNotExist
	// ErrExists: there is one already. A guest's configuration exists when its
	// ID is taken anywhere in the cluster.
	ErrExists = fs.ErrExist
	// ErrNotMounted: pmxcfs is not mounted; the root is an ordinary folder.
	ErrNotMounted = errors.New("cluster file system not mounted")
	// ErrStaleMount: pmxcfs died and left its mount behind.
	ErrStaleMount = errors.New("mount of the cluster file system is dead")
	// ErrNoQuorum: this node is not in the quorate partition, so that the file
	// system is read-only.
	ErrNoQuorum = errors.New("no quorum")
	// ErrBusy: the cluster's communication broke down during the call (EBUSY,
	// EPERM). It may work again in a moment, or quorum is lost.
	ErrBusy = errors.New("cluster communication interrupted")
	// ErrDenied: the file system has quorum and refuses all the same: a lock is
	// another's, or the user may not.
	ErrDenied = errors.New("refused by the cluster file system")
	// ErrBroken: pmxcfs failed (EIO). It does so for all writes once its
	// database has an error, until it is restarted.
	ErrBroken = errors.New("cluster file system is broken")
	// ErrFull: there is no space left, here or in the database of pmxcfs.
	ErrFull = errors.New("cluster file system is full")
	// ErrTooLarge: more than [MaxFileSize] bytes.
	ErrTooLarge = errors.New("larger than a file of the cluster file system may be")
	// ErrTimeout: the call still hangs. What it was to do may yet happen.
	ErrTimeout = errors.New("cluster file system does not answer")
	// ErrHeld: the lock is held by another node, or was lost to one.
	ErrHeld = errors.New("lock is held elsewhere")
	// ErrGarbled: a file that pmxcfs generates is cut short or makes no sense.
	ErrGarbled = errors.New("cannot be understood")
	// ErrNoIPC: only pmxcfs's IPC can tell, and there is none.
	ErrNoIPC = errors.New("needs the IPC of pmxcfs")
	// ErrBadName: the name leads out of the file system, or is not in its
	// shortest form.
	ErrBadName = errors.New("not a name in the cluster file system")
)

// Error is a failed use of the cluster file system.
type Error struct {
	Op   string // what was tried: "read", "create", "rename", ...
	Name string // of what, from the root
	Kind error  // one of the errors above; nil when it is none of them
	Err  error  // what the system said; nil when it was not asked
	text string // the whole text where it is interface
}

func (e *Error) Error() string {
	switch {
	case e.text != "":
		return e.text
	case e.Err == nil:
		return e.Op + " '" + e.Name + "': " + e.Kind.Error()
	case e.Kind == nil || isOne(e.Kind, ErrAbsent, ErrExists):
		return e.Op + " '" + e.Name + "': " + Reason(e.Err)
	}
	return e.Op + " '" + e.Name + "': " + e.Kind.Error() + ": " + Reason(e.Err)
}

// cause is what the system said, or else what is wrong.
func (e *Error) cause() error {
	if e.Err == nil {
		return e.Kind
	}
	return e.Err
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	var all []error
	if e.Kind != nil {
		all = append(all, e.Kind)
	}
	switch {
	case e.Err == nil:
	case e.Kind != nil && !errors.Is(e.Kind, ErrAbsent) && errors.Is(e.Err, ErrAbsent):
		// ENOENT is fs.ErrNotExist as well, but that a file cannot be found
		// because nothing is mounted does not say that it is absent.
		all = append(all, bareErrno{e.Err})
	default:
		all = append(all, e.Err)
	}
	return all
}

// bareErrno is an errno that is equal to itself alone.
type bareErrno struct{ err error }

func (e bareErrno) Error() string { return e.err.Error() }

func (e bareErrno) Is(target error) bool {
	var errno syscall.Errno
	return errors.As(e.err, &errno) && target == error(errno)
}

func (e bareErrno) As(target any) bool {
	into, ok := target.(*syscall.Errno)
	return ok && errors.As(e.err, into)
}

// Reason returns what the system said as C programs and Perl print it
// ("Permission denied"), and the text of an error without an errno.
func Reason(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
