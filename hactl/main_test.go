package hactl_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"pveha/hactl"
	"pveha/pmxcfsio"
)

// The test binary is also the command, on the mount that this variable names.
const (
	rootVariable = "HACTL_TEST_ROOT"
	nodeVariable = "HACTL_TEST_NODE"
	// killVariable says at which use of the mount the command is killed: "3"
	// before the third, "3+" after it, "3/" in the middle of it.
	killVariable = "HACTL_TEST_KILL"
)

func TestMain(m *testing.M) {
	if root := os.Getenv(rootVariable); root != "" {
		os.Exit(command(root, os.Getenv(nodeVariable), os.Getenv(killVariable)))
	}
	os.Exit(m.Run())
}

func command(root, node, kill string) int {
	cfg := pmxcfsio.Config{Root: root}
	if kill != "" {
		cfg.Mount = newDeadly(root, kill)
	}
	fsys, err := pmxcfsio.New(cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	env := hactl.Live(hactl.LiveConfig{FS: fsys, Node: node, Root: true})
	stdio := hactl.Stdio{Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv}
	return hactl.Run(context.Background(), env, stdio, os.Args[1:])
}

// deadly is a mount whose use kills the process at some point.
type deadly struct {
	root   string
	at     int
	when   byte // '-' before, '+' after, '/' in the middle
	passed int
}

func newDeadly(root, kill string) *deadly {
	d := &deadly{root: root, when: '-'}
	digits := kill
	if last := kill[len(kill)-1]; last == '+' || last == '/' {
		d.when, digits = last, kill[:len(kill)-1]
	}
	d.at, _ = strconv.Atoi(digits)
	return d
}

// die kills this process as kill -9 does, if it is time.
func (d *deadly) die(when byte) {
	if d.passed == d.at && d.when == when {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Minute)
	}
}

// use makes one call.
func (d *deadly) use(call func() error) error {
	d.passed++
	d.die('-')
	err := call()
	d.die('+')
	return err
}

func (d *deadly) path(name string) string { return filepath.Join(d.root, name) }

func errnoOf(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

func (d *deadly) Lstat(name string) (info pmxcfsio.Info, err error) {
	err = d.use(func() error {
		i, err := os.Lstat(d.path(name))
		if err == nil {
			info = pmxcfsio.Info{Mode: i.Mode(), Size: i.Size(), ModTime: i.ModTime().Unix()}
		}
		return errnoOf(err)
	})
	return info, err
}

func (d *deadly) Present(name string) (present bool, err error) {
	err = d.use(func() error {
		_, err := os.Lstat(d.path(name))
		if present = err == nil; errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return err
	})
	return present, err
}

func (d *deadly) ReadFile(name string) (data []byte, err error) {
	err = d.use(func() (err error) {
		data, err = os.ReadFile(d.path(name))
		return errnoOf(err)
	})
	return data, err
}

func (d *deadly) ReadDir(name string) (names []string, err error) {
	err = d.use(func() error {
		entries, err := os.ReadDir(d.path(name))
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return errnoOf(err)
	})
	return names, err
}

func (d *deadly) Create(name string, data []byte) error {
	return d.use(func() error {
		file, err := os.OpenFile(d.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
		if err != nil {
			return errnoOf(err)
		}
		half := len(data) / 2
		if _, err = file.Write(data[:half]); err == nil {
			d.die('/')
			_, err = file.Write(data[half:])
		}
		return errnoOf(errors.Join(err, file.Close()))
	})
}

func (d *deadly) Rename(from, to string) error {
	return d.use(func() error { return errnoOf(os.Rename(d.path(from), d.path(to))) })
}

func (d *deadly) Unlink(name string) error {
	return d.use(func() error { return errnoOf(syscall.Unlink(d.path(name))) })
}

func (d *deadly) Mkdir(name string) error {
	return d.use(func() error { return errnoOf(os.Mkdir(d.path(name), fs.ModePerm)) })
}

func (d *deadly) Rmdir(name string) error {
	return d.use(func() error { return errnoOf(syscall.Rmdir(d.path(name))) })
}

func (d *deadly) Utime(name string, mtime int64) error {
	t := time.Unix(mtime, 0)
	return d.use(func() error { return errnoOf(os.Chtimes(d.path(name), t, t)) })
}
