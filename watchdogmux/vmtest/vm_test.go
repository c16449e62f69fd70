//go:build vm

package vmtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestMain is the guest, or one of its programs, when it does not run tests.
func TestMain(m *testing.M) {
	switch args := os.Args; {
	case os.Getpid() == 1:
		runGuest()
	case filepath.Base(args[0]) == "modprobe":
		os.Exit(modprobe(args[1:]))
	case filepath.Base(args[0]) == "sh":
		os.Exit(shell(args[1:]))
	case filepath.Base(args[0]) == "journalctl":
		os.Exit(journalctl(args[1:]))
	case filepath.Base(args[0]) == "client" && args[1] == "activate":
		// As systemd does: the process itself is who the socket is for.
		_ = os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
		must(unix.Exec(muxPath, []string{muxPath}, os.Environ()), "exec")
	case filepath.Base(args[0]) == "client":
		os.Exit(client(args[1:]))
	}
	os.Exit(m.Run())
}

var dogs = []string{"softdog", "i6300esb"}

func TestMachines(t *testing.T) {
	kernel, err := kernelDir()
	require.NoError(t, err)
	mux := buildMux(t)
	plain := writeInitrd(t, newInitrd(t, kernel, mux), "plain")
	r := newInitrd(t, kernel, mux)
	addPerl(t, r)
	perl := writeInitrd(t, r, "perl")

	for _, c := range cases {
		for _, dog := range dogs {
			if c.dog != "" && c.dog != dog {
				continue
			}
			t.Run(c.name+" on "+dog, func(t *testing.T) {
				t.Parallel()
				image := plain
				if c.perl {
					image = perl
				}
				variables := []string{"dog=" + dog, `"case=` + c.name + `"`}
				if os.Getenv("PVEHA_VM_MUX") != "" {
					variables = append(variables, "linger=yes")
				}
				if c.options != "" {
					variables = append(variables, `"modoptions=`+c.options+`"`)
				}
				o := boot(t, filepath.Join(kernel, "vmlinux"), image, c.reboots, variables...)
				judge(t, c, o)
			})
		}
	}
}

// judge compares the end of a machine with what was to happen.
func judge(t *testing.T, c vmCase, o outcome) {
	t.Helper()
	verdict := func(ok bool, format string, args ...any) {
		t.Helper()
		if !ok {
			t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), o.console)
		}
	}
	for _, f := range o.figures() {
		t.Log(f)
	}
	verdict(!strings.Contains(o.console, "FAIL ["), "the guest found a fault")
	for _, text := range c.says {
		verdict(strings.Contains(o.console, text), "nobody said %q", text)
	}
	survived := o.off && strings.Contains(o.console, "SURVIVED [")
	switch {
	case c.reboots:
		verdict(o.resets > 0 && survived, "%d resets, survived: %t", o.resets, survived)
	case c.reset == nil:
		verdict(o.resets == 0 && survived, "%d resets, survived: %t", o.resets, survived)
	default:
		verdict(o.resets == 1 && !o.off, "it was not reset")
		began, alive := o.times(t, "BROKEN"), o.times(t, "ALIVE")
		verdict(len(began) == 1 && len(alive) > 0, "no word was broken")
		after := alive[len(alive)-1] - began[0]
		t.Logf("reset after %.1f s, to be between %.0f and %.0f", after, c.reset.least, c.reset.most)
		verdict(after >= c.reset.least && after <= c.reset.most, "reset after %.1f s", after)
	}
	t.Logf("took %.1f s", o.took.Seconds())
}
