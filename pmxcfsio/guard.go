package pmxcfsio

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// localName is a symlink that is there while pmxcfs is mounted, and only then.
// The write bit of its owner is the quorum.
const localName = "local"

const writeBit = 0o200

// fault is what is wrong, before it is known of which call.
type fault struct {
	kind error
	err  error
}

func (e *fault) Error() string   { return e.kind.Error() }
func (e *fault) Unwrap() []error { return (&Error{Kind: e.kind, Err: e.err}).Unwrap() }

// checkMounted looks whether pmxcfs is mounted. After a clean stop its root is
// an ordinary folder, in which anything can be written.
func (b *bounded) checkMounted() (Info, error) {
	info, err := b.Lstat(localName)
	switch {
	case err == nil && info.Mode&os.ModeSymlink != 0:
		return info, nil
	case err == nil:
		return info, &fault{ErrNotMounted, nil}
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		return info, &fault{ErrNotMounted, err}
	}
	if kind := kindOf(err); kind != nil {
		return info, &fault{kind, err}
	}
	return info, err
}

// guarded runs a call with the file system mounted before and after, as far as
// that can be seen. An absent file is only that when there is a file system.
func (b *bounded) guarded(call func() error) error {
	if _, err := b.checkMounted(); err != nil {
		return err
	}
	err := call()
	if err == nil || errors.Is(err, syscall.ENOENT) {
		if _, gone := b.checkMounted(); gone != nil {
			return gone
		}
	}
	return err
}

// query is a guarded call that changes nothing.
func query[T any](ctx context.Context, b *bounded, call func() (T, error)) (T, error) {
	return bound(ctx, b, b.read, func() (value T, err error) {
		err = b.guarded(func() error {
			value, err = call()
			return err
		})
		return value, err
	}, nil)
}

// local looks at the symlink that tells whether pmxcfs is mounted.
func (f *FS) local(ctx context.Context) (Info, error) {
	info, err := bound(ctx, f.mount, f.mount.read, f.mount.checkMounted, nil)
	return info, failure("look at", localName, err)
}

// kinds are the errnos of pmxcfs and FUSE, and what they say.
var kinds = []struct {
	errno syscall.Errno
	kind  error
}{
	{syscall.ENOENT, ErrAbsent},
	{syscall.ENOTDIR, ErrAbsent},
	{syscall.EEXIST, ErrExists},
	{syscall.ENOTCONN, ErrStaleMount},
	{syscall.ECONNABORTED, ErrStaleMount},
	{syscall.ECONNREFUSED, ErrStaleMount},
	{syscall.EACCES, ErrDenied},
	{syscall.EROFS, ErrDenied},
	{syscall.EPERM, ErrBusy},
	{syscall.EBUSY, ErrBusy},
	{syscall.EIO, ErrBroken},
	{syscall.ENOSPC, ErrFull},
	{syscall.EDQUOT, ErrFull},
	{syscall.EFBIG, ErrTooLarge},
}

func kindOf(err error) error {
	var f *fault
	if errors.As(err, &f) {
		return f.kind
	}
	if errors.Is(err, ErrTimeout) {
		return ErrTimeout
	}
	for _, k := range kinds {
		if errors.Is(err, k.errno) {
			return k.kind
		}
	}
	return nil
}

// isKind reports whether the kind of an error is one of these. Unlike errors.Is
// it does not take ENOENT for an absent file where nothing is mounted.
func isKind(err error, kinds ...error) bool {
	return isOne(kindOf(err), kinds...)
}

func isOne(kind error, kinds ...error) bool {
	return slices.ContainsFunc(kinds, func(k error) bool { return errors.Is(kind, k) })
}

// failure says of which call an error is.
func failure(op, name string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, Name: name, Kind: kindOf(err), Err: err}
	var f *fault
	if errors.As(err, &f) {
		e.Err = f.err
	}
	return e
}

// refusal is the failure of a call that was to change something. That the file
// system refuses is mostly for the lack of quorum.
func (f *FS) refusal(ctx context.Context, op, name string, err error) error {
	err = failure(op, name, err)
	var e *Error
	if !errors.As(err, &e) || !isOne(e.Kind, ErrDenied, ErrBusy) {
		return err
	}
	if quorate, unknown := f.Quorate(ctx); unknown == nil && !quorate {
		e.Kind = ErrNoQuorum
	}
	return e
}

// checkName refuses names that lead out of the file system.
func checkName(op, name string) error {
	if !fs.ValidPath(name) {
		return &Error{Op: op, Name: name, Kind: ErrBadName}
	}
	for i := range len(name) {
		if name[i] == 0 {
			return &Error{Op: op, Name: name, Kind: ErrBadName}
		}
	}
	return nil
}
