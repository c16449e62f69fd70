//go:build deb

package packaging

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/internal/golden"
)

// maxProgram is how large a program may be, in bytes.
const maxProgram = 15 << 20

var packagePrograms = []string{
	"usr/sbin/pve-ha-switch",
	"usr/libexec/pveha/ha-manager", "usr/libexec/pveha/pve-ha-crm", "usr/libexec/pveha/pve-ha-lrm", "usr/libexec/pveha/watchdog-mux",
}

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// Two builds are the same bytes, whenever and from whatever copy of the files;
// and so are those for the other architecture.
func TestTwoBuildsAreEqual(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	t.Setenv("SOURCE_DATE_EPOCH", "1795295841") // and somebody may commit meanwhile
	require.NoError(t, buildOurs(first, firstOurs, "amd64", "arm64"))
	later := time.Now().Add(-1000 * time.Hour)
	for _, name := range []string{"units/pve-ha-lrm.service.conf", "completions/pve-ha-switch", "changelog"} {
		require.NoError(t, os.Chtimes(name, later, later))
	}
	require.NoError(t, buildOurs(second, firstOurs, "arm64", "amd64"))
	for architecture := range machines {
		name := "pve-ha-go_" + firstOurs + "_" + architecture + ".deb"
		one, err := os.ReadFile(filepath.Join(first, name))
		require.NoError(t, err)
		two, err := os.ReadFile(filepath.Join(second, name))
		require.NoError(t, err)
		require.True(t, string(one) == string(two), "%s differs", name)
		t.Logf("MEASURED %s: %d bytes", name, len(one))
		checkPrograms(t, filepath.Join(first, name), architecture)
		checkContents(t, filepath.Join(first, name), architecture)
	}
}

// checkPrograms looks into the programs of a package: static, stripped, small,
// and of its architecture.
func checkPrograms(t *testing.T, deb, architecture string) {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("dpkg-deb", "-x", deb, dir).CombinedOutput()
	require.NoError(t, err, string(out))
	for _, name := range packagePrograms {
		checkProgram(t, filepath.Join(dir, name), architecture)
	}
}

func checkProgram(t *testing.T, path, architecture string) {
	t.Helper()
	name := filepath.Base(path)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(maxProgram), name)
	program, err := elf.Open(path)
	require.NoError(t, err)
	defer program.Close()
	require.Equal(t, machines[architecture], program.Machine, name)
	for _, part := range program.Progs {
		require.NotContains(t, []elf.ProgType{elf.PT_INTERP, elf.PT_DYNAMIC}, part.Type, "%s is dynamic", name)
	}
	require.Nil(t, program.Section(".symtab"), "%s is not stripped", name)
	require.Nil(t, program.Section(".debug_info"), "%s is not stripped", name)
	ldd, err := exec.Command("ldd", path).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(ldd), "not a dynamic executable")
	t.Logf("MEASURED %s %s: %.1f MB", architecture, name, float64(info.Size())/1e6)
}

// checkContents compares the list of files, with their modes, and what the
// package says of itself.
func checkContents(t *testing.T, deb, architecture string) {
	t.Helper()
	out, err := exec.Command("dpkg-deb", "-c", deb).Output()
	require.NoError(t, err)
	var list strings.Builder
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line) // mode, owner, size, date, time, name
		list.WriteString(fields[0] + " " + fields[1] + " " + fields[5] + "\n")
	}
	control, err := exec.Command("dpkg-deb", "-f", deb, "Package", "Architecture", "Depends", "Conflicts").Output()
	require.NoError(t, err)
	golden.Golden(t, filepath.Join("testdata", "contents-"+architecture+".golden"), append(control, list.String()...))
}
