package qb

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// twoEnds are a writer and a reader of one small ring.
func twoEnds(t *testing.T) (writer, reader *ring) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "qb-request-x")
	writer, err := createRing(name, 5000, Peer{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())})
	require.NoError(t, err)
	reader, err = openRing(name, 5000)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, writer.unmap())
		require.NoError(t, reader.unmap())
	})
	return writer, reader
}

// pmxcfs refuses a log entry unless a zero byte follows it, which is not part
// of the request; old bytes of the ring must not show there.
func TestAZeroByteFollowsEveryMessage(t *testing.T) {
	writer, reader := twoEnds(t)
	copy(writer.data, bytes.Repeat([]byte{0xFF}, len(writer.data)))
	for size := range 3000 {
		begin := int(writer.position+chunkHeader) * wordSize
		require.NoError(t, writer.write(bytes.Repeat([]byte{0xFF}, size)))
		require.Zero(t, writer.data[(begin+size)%len(writer.data)], "%d bytes", size)
		require.True(t, reader.messages.tryWait())
		message, err := reader.read()
		require.NoError(t, err)
		require.Len(t, message, size)
	}
}

func TestARingIsFullAndThenIsNot(t *testing.T) {
	writer, reader := twoEnds(t)
	message := pattern(700)
	for range 50 {
		held := 0
		for {
			err := writer.write(message[:100], message[100:])
			if err != nil {
				require.ErrorIs(t, err, errRingFull)
				break
			}
			held++
		}
		require.Equal(t, (len(writer.data)-wordSize)/708, held)
		require.EqualValues(t, held, reader.messages.value())
		for range held {
			require.True(t, reader.messages.tryWait())
			got, err := reader.read()
			require.NoError(t, err)
			require.Equal(t, message, got)
		}
		require.False(t, reader.messages.tryWait())
	}
}

func TestServerSaysThatItHasNoRoom(t *testing.T) {
	leavesNothing(t)
	name := newName()
	serve(t, ServerConfig{Name: name, Handler: echoes, ShmDir: filepath.Join(t.TempDir(), "gone")})
	_, err := Dial(within(t, patience), DialConfig{Name: name})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorIs(t, err, unix.ENOENT)
}

func TestFoldersOfDeadServersAreToldApart(t *testing.T) {
	dir := t.TempDir()
	me := Peer{PID: int32(os.Getpid()), UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	ours, err := createFolder(dir, 1000, me, 7)
	require.NoError(t, err)
	r, err := createRing(ringName(ours, "request", "x"), 5000, me)
	require.NoError(t, err)
	require.NoError(t, r.unmap())
	anothers, err := createFolder(dir, 1000, Peer{PID: me.PID + 1, UID: me.UID, GID: me.GID}, 7)
	require.NoError(t, err)
	alive, err := createFolder(dir, 1001, me, 7)
	require.NoError(t, err)
	stranger := filepath.Join(alive, "stranger")
	require.NoError(t, os.WriteFile(stranger, nil, 0o600))

	removeOrphans(dir, 1000, "x")
	require.NoDirExists(t, ours)
	require.DirExists(t, anothers)
	removeOrphans(dir, 1001, "x")
	require.FileExists(t, stranger, "what is not a ring is not ours")
	removeOrphans(filepath.Join(dir, "none"), 1000, "x")
}
