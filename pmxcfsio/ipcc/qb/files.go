package qb

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The rings of a connection, by what libqb calls them.
var directions = [...]string{"request", "response", "event"}

const (
	headSuffix = "-header"
	dataSuffix = "-data"
)

// ringName is the path of a ring in the folder of its connection, without the
// suffix of its two files.
func ringName(folder, direction, service string) string {
	return filepath.Join(folder, "qb-"+direction+"-"+service)
}

// createRing makes the two files of a ring for a client, and maps them.
func createRing(name string, maxMessage int, client Peer) (*ring, error) {
	header, err := mapNew(name+headSuffix, ringHeaderSize, client)
	if err != nil {
		return nil, err
	}
	data, err := mapNew(name+dataSuffix, ringBytes(maxMessage), client)
	if err != nil {
		_ = unix.Munmap(header)
		return nil, err
	}
	r := newRing(header, data)
	r.create(name+headSuffix, name+dataSuffix)
	return r, nil
}

// mapNew makes a file that is the client's, all of it in memory, so that
// writing to it cannot fail, and maps it. What it has made stays on an error:
// the folder is removed as a whole.
func mapNew(path string, size int, client Peer) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	fd := int(file.Fd())
	if err := unix.Fallocate(fd, 0, 0, int64(size)); err != nil {
		return nil, &fs.PathError{Op: "allocate", Path: path, Err: err}
	}
	if err := giveTo(file.Chown, client); err != nil {
		return nil, err
	}
	mapping, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, &fs.PathError{Op: "mmap", Path: path, Err: err}
	}
	return mapping, nil
}

// giveTo makes the client the owner, which takes root unless it is already.
func giveTo(chown func(uid, gid int) error, client Peer) error {
	if int(client.UID) == os.Geteuid() && int(client.GID) == os.Getegid() {
		return nil
	}
	return chown(int(client.UID), int(client.GID))
}

// openRing maps the files of a ring that a server has made, and joins it. The
// name comes from the server.
func openRing(name string, maxMessage int) (*ring, error) {
	header, err := mapExisting(name+headSuffix, ringHeaderSize, ringHeaderSize+unix.Getpagesize())
	if err != nil {
		return nil, err
	}
	data, err := mapExisting(name+dataSuffix, ringBytes(maxMessage), ringBytes(maxMessageLimit))
	if err != nil {
		_ = unix.Munmap(header)
		return nil, err
	}
	r := newRing(header, data)
	if err := guard(r.join); err != nil {
		_ = r.unmap()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// mapExisting maps all of a plain file whose size is sensible.
func mapExisting(path string, least, most int) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if !info.Mode().IsRegular() || size%wordSize != 0 || size < int64(least) || size > int64(most) {
		return nil, fmt.Errorf("%w: %s: %v of %d bytes, expected a file of %d", ErrProtocol, path, info.Mode(), size, least)
	}
	mapping, err := unix.Mmap(int(file.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, &fs.PathError{Op: "mmap", Path: path, Err: err}
	}
	return mapping, nil
}

// unmap gives the memory back; the ring is of no use any more.
func (r *ring) unmap() error {
	err := unix.Munmap(r.header)
	if dataErr := unix.Munmap(r.data); err == nil {
		err = dataErr
	}
	return err
}

// createFolder makes the folder of a connection, which is the client's.
func createFolder(shmDir string, server int, client Peer, socket int) (string, error) {
	folder, err := os.MkdirTemp(shmDir, fmt.Sprintf("%s%d-", folderPrefix(server, int(client.PID)), socket))
	if err != nil {
		return "", err
	}
	chown := func(uid, gid int) error { return os.Lchown(folder, uid, gid) }
	if err := giveTo(chown, client); err != nil {
		_ = os.Remove(folder)
		return "", err
	}
	if err := os.Chmod(folder, 0o770); err != nil {
		_ = os.Remove(folder)
		return "", err
	}
	return folder, nil
}

// folderPrefix is how the names of the folders begin that a server makes for
// one client.
func folderPrefix(server, client int) string { return fmt.Sprintf("qb-%d-%d-", server, client) }

// removeFolder removes the folder of a connection with the files of its rings.
// Either end may have done so before, in part or in whole. The folder is the
// client's, so nothing in it is followed.
func removeFolder(folder, service string) {
	fd, err := unix.Open(folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }()
	for _, direction := range directions {
		for _, suffix := range []string{headSuffix, dataSuffix} {
			_ = unix.Unlinkat(fd, filepath.Base(ringName(folder, direction, service)+suffix), 0)
		}
	}
	_ = unix.Rmdir(folder)
}

// removeOrphans removes what a dead server has left of its connections with
// this process.
func removeOrphans(shmDir string, server int, service string) {
	entries, err := os.ReadDir(shmDir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if entry.IsDir() && strings.HasPrefix(entry.Name(), folderPrefix(server, os.Getpid())) {
			removeFolder(filepath.Join(shmDir, entry.Name()), service)
		}
	}
}
