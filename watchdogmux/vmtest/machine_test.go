//go:build vm

package vmtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bootLimit is the real time that a case may take.
const bootLimit = 3 * time.Minute

// outcome is how a machine ended.
type outcome struct {
	console string
	resets  int  // by the guest's hardware or kernel
	off     bool // the guest switched itself off
	took    time.Duration
}

// boot runs a machine until it switches itself off, or, unless it may reboot,
// is reset.
func boot(t *testing.T, kernel, initrd string, reboot bool, variables ...string) outcome {
	t.Helper()
	console := filepath.Join(t.TempDir(), "console")
	args := []string{
		"-accel", "tcg", "-icount", "shift=2,sleep=off", "-smp", "1", "-m", "192",
		"-nodefaults", "-no-user-config", "-display", "none", "-qmp", "stdio", "-serial", "file:" + console,
		"-device", "i6300esb", "-action", "watchdog=reset", "-kernel", kernel, "-initrd", initrd,
		"-append", "console=ttyS0 panic=-1 quiet loglevel=6 random.trust_cpu=on cryptomgr.notests rodata=off " + strings.Join(variables, " "),
	}
	if !reboot {
		args = append(args, "-no-reboot")
	}
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	events, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	start := time.Now()
	require.NoError(t, cmd.Start())
	_, err = io.WriteString(in, `{"execute":"qmp_capabilities"}`+"\n")
	require.NoError(t, err)

	var o outcome
	for lines := bufio.NewScanner(events); lines.Scan(); {
		o.note(lines.Bytes())
	}
	waitErr := cmd.Wait()
	o.took = time.Since(start)
	data, err := os.ReadFile(console)
	require.NoError(t, err)
	o.console = strings.ReplaceAll(string(data), "\r", "")
	require.NoError(t, waitErr, "%s\n%s", stderr.String(), o.console)
	return o
}

// note takes an event of the machine.
func (o *outcome) note(line []byte) {
	var message struct {
		Event string
		Data  struct{ Reason string }
	}
	if json.Unmarshal(line, &message) != nil {
		return
	}
	switch {
	case message.Data.Reason == "guest-reset": // SHUTDOWN, or RESET where it may reboot
		o.resets++
	case message.Event == "SHUTDOWN" && message.Data.Reason == "guest-shutdown":
		o.off = true
	}
}

// times returns the guest's clock in the lines of the console that begin with
// the word, in seconds.
func (o outcome) times(t *testing.T, word string) []float64 {
	var times []float64
	for _, m := range regexp.MustCompile(`(?m)^`+word+` \[([0-9.]+)\]`).FindAllStringSubmatch(o.console, -1) {
		seconds, err := strconv.ParseFloat(m[1], 64)
		require.NoError(t, err)
		times = append(times, seconds)
	}
	return times
}

// figures returns what the guest measured.
func (o outcome) figures() []string {
	var figures []string
	for line := range strings.Lines(o.console) {
		if text, ok := strings.CutPrefix(line, "FIGURE "); ok {
			figures = append(figures, strings.TrimSpace(text))
		}
	}
	return figures
}

// buildMux builds watchdog-mux as the package does, or takes the one that is
// to be tried in its place.
func buildMux(t *testing.T) string {
	if other := os.Getenv("PVEHA_VM_MUX"); other != "" {
		return other
	}
	path := filepath.Join(t.TempDir(), "watchdog-mux")
	out, err := exec.Command("go", "build", "-trimpath", "-o", path, "pveha/watchdogmux/cmd/watchdog-mux").CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

func writeInitrd(t *testing.T, r *initrd, name string) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, r.bytes(), 0o600))
	return path
}

// addPerl puts the Perl of this machine into the guest: the interpreter, the
// libraries it is linked with, and the modules of the base package.
func addPerl(t *testing.T, r *initrd) {
	perl, err := exec.LookPath("perl")
	require.NoError(t, err, "perl is on every Debian machine")
	r.file(t, "/usr/bin/perl", perl)
	libraries, err := exec.Command("ldd", perl).Output()
	require.NoError(t, err)
	inc, err := exec.Command(perl, "-e", `print "$_\n" for grep { m!/perl-base$! } @INC`).Output()
	require.NoError(t, err)
	base := strings.TrimSpace(string(inc))
	require.NotEmpty(t, base, "no folder of the base package among perl's modules")
	for _, library := range regexp.MustCompile(`/\S+`).FindAllString(string(libraries), -1) {
		r.file(t, library, library)
	}
	r.tree(t, base)
	r.file(t, "/client.pl", filepath.Join("testdata", "client.pl"))
}

func kernelDir() (string, error) {
	dir := os.Getenv("PVEHA_VM_KERNEL")
	if dir == "" {
		return "", fmt.Errorf("PVEHA_VM_KERNEL is not set: make vm sets it")
	}
	return filepath.Abs(dir)
}
