package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"pveha/internal/ha"
)

// Recovery makes the guests of a fenced node startable on another. It is what
// the master of the CRM needs of this package.
type Recovery struct {
	Files Files
}

// RemoveLocks removes the lock of a guest whose configuration is on node, if it
// is one of locks, and returns which it was, "" for none of them. Everything
// else in the configuration stays as it is, byte for byte.
func (r Recovery) RemoveLocks(ctx context.Context, sid ha.SID, locks []string, node string) (string, error) {
	k, err := kindOf(sid)
	if err != nil {
		return "", err
	}
	name, data, err := readConfig(ctx, r.Files, sid, node)
	if err != nil {
		return "", err
	}
	lock, without := k.cutLock(data)
	if lock == "" || !slices.Contains(locks, lock) {
		return "", nil
	}
	if err := r.Files.Write(ctx, name, without); err != nil {
		return "", fmt.Errorf("%s: removing the lock '%s': %w", name, lock, err)
	}
	return lock, nil
}

// Steal moves the configuration of a guest from one node to another, and with
// it the guest. The node it is taken from must be fenced. It fails, and changes
// nothing, when the configuration is not there or the other node has one.
func (r Recovery) Steal(ctx context.Context, sid ha.SID, from, to string) error {
	source, err := ConfigName(sid, from)
	if err != nil {
		return err
	}
	target, err := ConfigName(sid, to)
	if err != nil {
		return err
	}
	if err := r.rename(ctx, source, target); err != nil {
		return fmt.Errorf("rename '/etc/pve/%s' to '/etc/pve/%s' failed - %w", source, target, perlErrno(err))
	}
	return nil
}

// rename moves a file that must be there to a place that must be free.
func (r Recovery) rename(ctx context.Context, source, target string) error {
	switch there, err := r.Files.Exists(ctx, source); {
	case err != nil:
		return err
	case !there:
		return syscall.ENOENT
	}
	if source == target {
		return nil
	}
	switch taken, err := r.Files.Exists(ctx, target); {
	case err != nil:
		return err
	case taken:
		return syscall.EEXIST
	}
	return r.Files.Rename(ctx, source, target)
}

// readConfig reads the configuration of a guest on a node.
func readConfig(ctx context.Context, files Files, sid ha.SID, node string) (name string, data []byte, err error) {
	name, err = ConfigName(sid, node)
	if err != nil {
		return "", nil, err
	}
	data, err = files.Read(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, fmt.Errorf("Configuration file '%s' does not exist", name)
	}
	if err != nil {
		return "", nil, fmt.Errorf("Configuration file '%s': %w", name, err)
	}
	return name, data, nil
}

// errnoText is an error with its errno's text as C and Perl spell it.
type errnoText struct {
	errno syscall.Errno
	err   error
}

func (e errnoText) Error() string {
	text := e.errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

func (e errnoText) Unwrap() error { return e.err }

// perlErrno gives an error the text that Perl's $! would have, if there is an
// errno in it.
func perlErrno(err error) error {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
	case errors.Is(err, fs.ErrNotExist):
		errno = syscall.ENOENT
	default:
		return err
	}
	return errnoText{errno, err}
}
