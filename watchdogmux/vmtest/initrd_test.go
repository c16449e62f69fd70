//go:build vm

package vmtest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// initrd is the file system of a guest, as a cpio archive of the "newc" kind.
type initrd struct {
	archive bytes.Buffer
	seen    map[string]bool
	inode   int
}

func (r *initrd) entry(name string, mode uint32, rdev [2]int, data []byte) {
	name = strings.TrimPrefix(name, "/")
	r.inode++
	fmt.Fprintf(&r.archive, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		r.inode, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(name)+1, 0, name)
	r.pad()
	r.archive.Write(data)
	r.pad()
}

func (r *initrd) pad() {
	for r.archive.Len()%4 != 0 {
		r.archive.WriteByte(0)
	}
}

func (r *initrd) folder(name string) {
	if name == "/" || name == "." || r.seen[name] {
		return
	}
	r.folder(path.Dir(name))
	r.seen[name] = true
	r.entry(name, 0o040755, [2]int{}, nil)
}

func (r *initrd) file(t *testing.T, name, from string) {
	data, err := os.ReadFile(from)
	require.NoError(t, err)
	r.folder(path.Dir(name))
	r.entry(name, 0o100755, [2]int{}, data)
}

func (r *initrd) link(name, target string) {
	r.folder(path.Dir(name))
	r.entry(name, 0o120777, [2]int{}, []byte(target))
}

func (r *initrd) tree(t *testing.T, root string) {
	require.NoError(t, filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			r.file(t, name, name)
		}
		return err
	}))
}

func (r *initrd) bytes() []byte {
	r.entry("TRAILER!!!", 0, [2]int{}, nil)
	return r.archive.Bytes()
}

// newInitrd makes the guest of this very program with the given watchdog-mux.
// The guest is modprobe and journalctl as well.
func newInitrd(t *testing.T, kernelDir, mux string) *initrd {
	r := &initrd{seen: map[string]bool{}}
	self, err := os.Executable()
	require.NoError(t, err)
	r.folder("/dev")
	r.entry("/dev/console", 0o020600, [2]int{5, 1}, nil)
	for _, dir := range []string{"/proc", "/sys", "/run", "/tmp"} {
		r.folder(dir)
	}
	r.file(t, "/init", self)
	r.file(t, "/usr/sbin/watchdog-mux", mux)
	for _, module := range []string{"watchdog", "softdog", "i6300esb"} {
		r.file(t, "/modules/"+module+".ko", filepath.Join(kernelDir, module+".ko"))
	}
	for _, program := range []string{"/sbin/modprobe", "/bin/journalctl", "/bin/sh", "/bin/client"} {
		r.link(program, "/init")
	}
	return r
}
