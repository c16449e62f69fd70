package ipcc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/pmxcfsio/ipcc/qb"
)

// patience bounds what should happen at once, on a machine that is busy.
const patience = 20 * time.Second

var names atomic.Int32

func newName() string { return fmt.Sprintf("ipcc-test-%d-%d", os.Getpid(), names.Add(1)) }

// recorder is a pmxcfs that answers with what it was asked.
type recorder struct {
	hang, drop atomic.Bool
	asked      atomic.Int32
}

func (r *recorder) say(ctx context.Context, format string, args ...any) ([]byte, error) {
	r.asked.Add(1)
	if r.drop.Load() {
		return nil, ErrDrop
	}
	if r.hang.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return fmt.Appendf(nil, format, args...), nil
}

func (r *recorder) Versions(ctx context.Context, _ Caller) ([]byte, error) {
	return r.say(ctx, "versions")
}

func (r *recorder) ClusterInfo(ctx context.Context, _ Caller) ([]byte, error) {
	return r.say(ctx, "info")
}

func (r *recorder) GuestList(ctx context.Context, _ Caller) ([]byte, error) {
	return r.say(ctx, "guests")
}

func (r *recorder) Usage(ctx context.Context, caller Caller) ([]byte, error) {
	return r.say(ctx, "usage for %d", caller.PID)
}

func (r *recorder) SetStatus(_ context.Context, _ Caller, name string, value []byte) error {
	return fmt.Errorf("set %q to %q: %w", name, value, map[string]error{
		"kv/full": syscall.EFBIG, "kv/odd": errors.New("odd"), "kv/good": errNone,
	}[name])
}

// errNone stands for success where an error is wrapped.
var errNone = syscall.Errno(0)

func (r *recorder) Status(ctx context.Context, _ Caller, node, name string) ([]byte, error) {
	if name == "kv/none" {
		return nil, syscall.ENOENT
	}
	return r.say(ctx, "%s of %s\x00more", name, node)
}

func (r *recorder) ReadFile(ctx context.Context, _ Caller, path string) ([]byte, error) {
	switch path {
	case "empty":
		return nil, nil
	case "large":
		return make([]byte, 1<<20), nil
	case "none":
		return nil, fmt.Errorf("read: %w", fs.ErrNotExist) // holds no errno
	case "absent":
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
	}
	return r.say(ctx, "file %s", path)
}

func (r *recorder) Log(_ context.Context, _ Caller, entry LogEntry) error {
	if entry != (LogEntry{6, "root@pam", "test", "hello"}) {
		return syscall.EBADMSG
	}
	return nil
}

func (r *recorder) ClusterLog(ctx context.Context, _ Caller, user string, limit uint32) ([]byte, error) {
	return r.say(ctx, "%d for %q", limit, user)
}

func (r *recorder) GuestProperty(ctx context.Context, _ Caller, vmid uint32, property string) ([]byte, error) {
	return r.say(ctx, "%s of %d", property, vmid)
}

func (r *recorder) GuestProperties(ctx context.Context, _ Caller, vmid uint32, properties []string) ([]byte, error) {
	return r.say(ctx, "%v of %d", properties, vmid)
}

func serve(t testing.TB, name string, handler Handler) *Server {
	t.Helper()
	server, err := Listen(ServerConfig{Name: name, Handler: handler})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- server.Run(context.Background()) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.NoError(t, <-ended)
	})
	return server
}

func client(t testing.TB, config Config) *Client {
	t.Helper()
	if config.RestartFlag == "" {
		config.RestartFlag = filepath.Join(t.TempDir(), "flag")
	}
	c := New(config)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func within(t testing.TB, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// leavesNothing fails the test if it leaves descriptors, mapped rings or their
// folders behind. It is called first, so that it looks last.
func leavesNothing(t *testing.T) {
	t.Helper()
	holds := func() (descriptors []string) {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		for _, entry := range entries {
			if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && !strings.HasPrefix(target, "/proc/") {
				descriptors = append(descriptors, target)
			}
		}
		return descriptors
	}
	server, err := Listen(ServerConfig{Name: newName(), Handler: &recorder{}})
	require.NoError(t, err) // opens what the runtime keeps
	require.NoError(t, server.Close())
	before := holds()
	t.Cleanup(func() {
		require.ElementsMatch(t, before, holds(), "descriptors")
		maps, err := os.ReadFile("/proc/self/maps")
		require.NoError(t, err)
		require.NotContains(t, string(maps), "/qb-", "memory maps")
		folders, err := filepath.Glob(fmt.Sprintf("%s/qb-*-%d-*", qb.DefaultShmDir, os.Getpid()))
		require.NoError(t, err)
		require.Empty(t, folders)
	})
}

func TestEveryRequestReachesItsMethod(t *testing.T) {
	leavesNothing(t)
	name := newName()
	serve(t, name, &recorder{})
	c := client(t, Config{Name: name})
	ctx := within(t, patience)
	for want, ask := range map[string]func() ([]byte, error){
		"versions":                               func() ([]byte, error) { return c.Versions(ctx) },
		"info":                                   func() ([]byte, error) { return c.ClusterInfo(ctx) },
		"guests":                                 func() ([]byte, error) { return c.GuestList(ctx) },
		fmt.Sprintf("usage for %d", os.Getpid()): func() ([]byte, error) { return c.Usage(ctx) },
		"kv/x of node2":                          func() ([]byte, error) { return c.Status(ctx, "node2", "kv/x") },
		"file ha/resources.cfg":                  func() ([]byte, error) { return c.ReadFile(ctx, "ha/resources.cfg") },
		`50 for ""`:                              func() ([]byte, error) { return c.ClusterLog(ctx, "", 0) },
		`3 for "root@pam"`:                       func() ([]byte, error) { return c.ClusterLog(ctx, "root@pam", 3) },
		"lock of 100":                            func() ([]byte, error) { return c.GuestProperty(ctx, 100, "lock") },
		"[a b] of 0":                             func() ([]byte, error) { return c.GuestProperties(ctx, 0, []string{"a", "b"}) },
	} {
		answer, err := ask()
		require.NoError(t, err, want)
		require.Equal(t, want, string(answer))
	}
	require.NoError(t, c.Log(ctx, LogEntry{6, "root@pam", "test", "hello"}))
	empty, err := c.ReadFile(ctx, "empty")
	require.NoError(t, err)
	require.Empty(t, empty)
	large, err := c.ReadFile(ctx, "large")
	require.NoError(t, err)
	require.Len(t, large, 1<<20)
}

func TestErrorsArePassedOn(t *testing.T) {
	leavesNothing(t)
	name := newName()
	serve(t, name, &recorder{})
	c := client(t, Config{Name: name})
	ctx := within(t, patience)
	_, err := c.Status(ctx, "node1", "kv/none")
	require.ErrorIs(t, err, syscall.ENOENT)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.EqualError(t, err, "pmxcfs: value kv/none of node node1: no such file or directory")
	var request *RequestError
	require.ErrorAs(t, err, &request)
	_, err = c.ReadFile(ctx, "absent")
	require.ErrorIs(t, err, syscall.ENOENT)
	_, err = c.ReadFile(ctx, "none")
	require.ErrorIs(t, err, syscall.EIO, "an error without an errno")
	require.ErrorIs(t, c.SetStatus(ctx, "kv/full", nil), syscall.EFBIG)
	require.ErrorIs(t, c.SetStatus(ctx, "kv/odd", nil), syscall.EIO)
	require.NoError(t, c.SetStatus(ctx, "kv/good", []byte("x")))
	require.NoError(t, c.RemoveStatus(ctx, "kv/good"))
	require.ErrorIs(t, c.Log(ctx, LogEntry{Message: "other"}), syscall.EBADMSG)
	_, err = c.GuestProperty(ctx, 99, "lock")
	require.ErrorIs(t, err, syscall.EINVAL)
	_, err = c.request(ctx, "a token", 12, []byte("x"))
	require.ErrorIs(t, err, syscall.ECHRNG, "no such request")
	_, err = c.request(ctx, "versions with a word", getVersions, []byte("x"))
	require.ErrorIs(t, err, syscall.EINVAL)
	_, err = c.ReadFile(ctx, strings.Repeat("x", 2<<20))
	require.ErrorIs(t, err, qb.ErrTooLarge)
	_, err = c.ReadFile(ctx, "")
	require.ErrorIs(t, err, syscall.EINVAL, "refused before it is sent")
}

func TestWhoIsServed(t *testing.T) {
	d := &dispatcher{handler: &recorder{}, readers: 33}
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	require.Zero(t, d.accept(qb.Peer{UID: uid, GID: gid}))
	require.Zero(t, d.accept(qb.Peer{UID: 33, GID: 33}))
	require.EqualValues(t, refused, d.accept(qb.Peer{UID: uid, GID: gid + 1}))
	require.EqualValues(t, refused, d.accept(qb.Peer{UID: uid + 1, GID: gid}))

	reader := qb.Peer{UID: 33, GID: 33}
	ask := func(id int32, payload []byte) int32 {
		response, err := d.ServeRequest(context.Background(), qb.Request{Peer: reader, ID: id, Payload: payload})
		require.NoError(t, err)
		return response.Error
	}
	require.Zero(t, ask(getVersions, nil))
	require.Zero(t, ask(getConfig, []byte("ha/rules.cfg\x00")))
	eperm := -int32(syscall.EPERM)
	require.Equal(t, eperm, ask(getConfig, []byte("priv/token.cfg\x00")))
	require.Equal(t, eperm, ask(setStatus, nil), "right comes before form")
	require.Equal(t, eperm, ask(logMessage, nil))
}

func TestClientReconnects(t *testing.T) {
	leavesNothing(t)
	name := newName()
	first := serve(t, name, &recorder{})
	c := client(t, Config{Name: name})
	_, err := c.Versions(within(t, patience))
	require.NoError(t, err)
	require.NoError(t, first.Close())
	began := time.Now()
	_, err = c.Versions(within(t, patience))
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.Less(t, time.Since(began), patience/2)
	second := serve(t, name, &recorder{})
	_, err = c.Versions(within(t, patience))
	require.NoError(t, err)
	require.NoError(t, second.Close())
	serve(t, name, &recorder{})
	_, err = c.Versions(within(t, patience))
	require.NoError(t, err, "a restart between two requests goes unnoticed")
}

func TestARequestIsSentTwiceAndNoMore(t *testing.T) {
	leavesNothing(t)
	name := newName()
	r := &recorder{}
	r.drop.Store(true)
	serve(t, name, r)
	_, err := client(t, Config{Name: name}).Versions(within(t, patience))
	require.ErrorIs(t, err, ErrUnreachable)
	require.EqualValues(t, 2, r.asked.Load())
}

func TestTimeIsBounded(t *testing.T) {
	leavesNothing(t)
	name := newName()
	r := &recorder{}
	r.hang.Store(true)
	serve(t, name, r)
	c := client(t, Config{Name: name, Timeout: 500 * time.Millisecond})
	_, err := c.Versions(context.Background())
	require.ErrorIs(t, err, ErrTimeout, "by the client's own limit")
	_, err = c.Versions(within(t, 100*time.Millisecond))
	require.ErrorIs(t, err, ErrTimeout)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	asked := r.asked.Load()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = c.Versions(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, asked, r.asked.Load(), "no request after its time")
	r.hang.Store(false)
	_, err = c.Versions(within(t, patience))
	require.NoError(t, err, "a late answer is not the next request's")
}

// While one request hangs, the time of those behind it runs too.
func TestTimeIsBoundedInTheQueue(t *testing.T) {
	leavesNothing(t)
	name := newName()
	r := &recorder{}
	r.hang.Store(true)
	serve(t, name, r)
	c := client(t, Config{Name: name})
	ctx := within(t, 50*time.Millisecond)
	failed := make(chan error)
	for range 5 {
		go func() {
			_, err := c.Versions(ctx)
			failed <- err
		}()
	}
	for range 5 {
		require.ErrorIs(t, <-failed, ErrTimeout)
	}
}

func TestCloseEndsARequest(t *testing.T) {
	leavesNothing(t)
	name := newName()
	r := &recorder{}
	r.hang.Store(true)
	serve(t, name, r)
	c := client(t, Config{Name: name})
	failed := make(chan error)
	go func() {
		_, err := c.Versions(context.Background())
		failed <- err
	}()
	require.Eventually(t, func() bool { return r.asked.Load() > 0 }, patience, time.Millisecond)
	require.NoError(t, c.Close())
	require.ErrorIs(t, <-failed, ErrClosed)
	_, err := c.Versions(within(t, patience))
	require.ErrorIs(t, err, ErrClosed)
}

func TestManyAskAtATime(t *testing.T) {
	leavesNothing(t)
	name := newName()
	serve(t, name, &recorder{})
	c := client(t, Config{Name: name})
	ctx := within(t, patience)
	wrong := make(chan error)
	for i := range 8 {
		go func() {
			var failed error
			for round := range 100 {
				path := fmt.Sprintf("%d/%d", i, round)
				answer, err := c.ReadFile(ctx, path)
				if err == nil && string(answer) != "file "+path {
					err = fmt.Errorf("file %s became %s", path, answer)
				}
				failed = errors.Join(failed, err)
			}
			wrong <- failed
		}()
	}
	for range 8 {
		require.NoError(t, <-wrong)
	}
}

func TestListen(t *testing.T) {
	leavesNothing(t)
	name := newName()
	_, err := Listen(ServerConfig{Name: name})
	require.ErrorIs(t, err, syscall.EINVAL, "without a handler")
	serve(t, name, &recorder{})
	_, err = Listen(ServerConfig{Name: name, Handler: &recorder{}})
	require.ErrorIs(t, err, syscall.EADDRINUSE)
}
