package handover

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

func TestChangeAndBack(t *testing.T) {
	w := newWorld(t)
	mux := w.pids[unitMux]
	_, err := w.change(Go)
	require.NoError(t, err, w.out.String())
	w.requireStack(Go, "go")
	require.Equal(t, mux, w.pids[unitMux], "the multiplexer is left alone")

	_, err = w.change(Go)
	require.NoError(t, err)
	require.Contains(t, w.out.String(), "the go stack runs on this node already\n")
	require.False(t, slices.ContainsFunc(w.calls, func(c string) bool {
		return strings.HasPrefix(c, "systemctl st")
	}), "nothing is stopped or started again: %v", w.calls)

	_, err = w.change(Perl)
	require.NoError(t, err)
	w.requireStack(Perl, "perl")
	require.Empty(t, w.diversions)
	for _, name := range units {
		_, path := dropIn(name)
		require.NoFileExists(t, w.node.at(path))
	}
}

// The LRM needs a master to end, and its own node may be the only one.
func TestOrderOfAChange(t *testing.T) {
	w := newWorld(t)
	_, _ = w.change(Go)
	at := func(call string) int {
		i := slices.Index(w.calls, call)
		require.Positive(t, i, call)
		return i
	}
	divert := slices.IndexFunc(w.calls, func(c string) bool { return strings.Contains(c, "--add") })
	require.Less(t, at("systemctl stop "+unitLRM), at("systemctl stop "+unitCRM))
	require.Less(t, at("systemctl stop "+unitCRM), divert)
	require.Less(t, divert, at("systemctl daemon-reload"))
	require.Less(t, at("systemctl daemon-reload"), at("systemctl start "+unitCRM))
	require.Less(t, at("systemctl start "+unitCRM), at("systemctl start "+unitLRM))
}

func TestKilledAtEveryStep(t *testing.T) {
	for _, to := range []Stack{Go, Perl} {
		back := map[Stack]Stack{Go: Perl, Perl: Go}[to]
		count := 0
		for _, after := range []bool{false, true} {
			for step := 1; ; step++ {
				w := newWorld(t)
				if to == Perl {
					_, err := w.change(Go)
					require.NoError(t, err)
				}
				w.killAt, w.after = step, after
				dead, _ := w.change(to)
				if !dead {
					break
				}
				count++
				at := fmt.Sprintf("to %s, killed at %q (behind it: %v)", to, w.calls[step-1], after)
				w.killAt = 0
				w.requireWorking(at)

				// What systemd does when the unit of the change dies.
				require.NoError(t, w.node.Recover(), at)
				require.Equal(t, "active", w.active[unitLRM], at)
				require.Equal(t, "active", w.active[unitCRM], at)

				end := to
				if step%2 == 0 {
					end = back
				}
				if step%3 == 0 {
					w.reboot()
				}
				_, err := w.change(end)
				require.NoError(t, err, "%s\n%s", at, w.out.String())
				w.requireStack(end, at)
			}
		}
		require.Greater(t, count, 60)
	}
}

func TestFailedAtEveryStep(t *testing.T) {
	for _, to := range []Stack{Go, Perl} {
		for step := 1; ; step++ {
			w := newWorld(t)
			if to == Perl {
				_, err := w.change(Go)
				require.NoError(t, err)
			}
			w.failAt = step
			_, err := w.change(to)
			if len(w.calls) < step {
				require.NoError(t, err)
				break
			}
			at := fmt.Sprintf("to %s, failed at %q", to, w.calls[step-1])
			w.requireWorking(at)
			w.failAt = 0
			// A start that failed is tried again by the next run.
			if !strings.HasPrefix(w.calls[step-1], "systemctl start") {
				require.Equal(t, "active", w.active[unitLRM], at)
				require.Equal(t, "active", w.active[unitCRM], at)
			}
			_, err = w.change(to)
			require.NoError(t, err, "%s\n%s", at, w.out.String())
			w.requireStack(to, at)
		}
	}
}

// Between two calls of programs files are moved as well.
func TestBrokenOffBetweenTwoFiles(t *testing.T) {
	r := replacements[0]
	for name, prepare := range map[string]func(w *world){
		"diverted, and no more": func(w *world) { w.diversions[r.path] = packageName },
		"two names of one file": func(w *world) {
			w.diversions[r.path] = packageName
			require.NoError(t, os.Link(w.node.at(r.path), w.node.at(r.aside)))
		},
		"the new link is not in place yet": func(w *world) {
			w.diversions[r.path] = packageName
			require.NoError(t, os.Link(w.node.at(r.path), w.node.at(r.aside)))
			require.NoError(t, os.Symlink(r.ours, w.node.at(r.path)+".pve-ha-new"))
		},
		"brought back, and still diverted; then upgraded": func(w *world) {
			w.diversions[r.path] = packageName
			w.write(r.path, "perl's old one")
			w.write(r.aside, "perl's "+r.path)
		},
	} {
		for _, to := range []Stack{Go, Perl} {
			t.Run(name+", to "+string(to), func(t *testing.T) {
				w := newWorld(t)
				prepare(w)
				_, err := w.change(to)
				require.NoError(t, err, w.out.String())
				w.requireStack(to, name)
				_, err = w.change(Perl)
				require.NoError(t, err)
				w.requireStack(Perl, name)
			})
		}
	}
}

func TestFileThatThePerlPackageDoesNotHave(t *testing.T) {
	w := newWorld(t)
	page := replacements[len(replacements)-1]
	require.NoError(t, os.Remove(w.node.at(page.path)))
	_, err := w.change(Go)
	require.NoError(t, err)
	require.Equal(t, "ours", w.read(page.path))
	_, err = w.change(Perl)
	require.NoError(t, err)
	require.False(t, w.node.there(page.path))
	require.False(t, w.node.there(page.aside))
}

func TestUpgradeRestartsReplacedPrograms(t *testing.T) {
	w := newWorld(t)
	_, err := w.change(Go)
	require.NoError(t, err)
	exe := w.node.at(fmt.Sprintf("/proc/%d/exe", w.pids[unitLRM]))
	require.NoError(t, os.Remove(exe))
	require.NoError(t, os.Symlink(programs+"pve-ha-lrm (deleted)", exe))
	before := w.pids[unitLRM]
	_, err = w.change(Go)
	require.NoError(t, err)
	require.NotEqual(t, before, w.pids[unitLRM])
	w.requireStack(Go, "upgraded")
}

func TestStoppedDaemonsStayStopped(t *testing.T) {
	w := newWorld(t)
	w.active[unitLRM], w.active[unitCRM] = "inactive", "inactive"
	_, err := w.change(Go)
	require.NoError(t, err, w.out.String())
	require.Equal(t, "inactive", w.active[unitLRM])
	require.Equal(t, "inactive", w.active[unitCRM])
}

func TestChoiceOutlivesUpgrades(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, Go, w.node.Wanted(), "a fresh installation")
	_, _ = w.change(Go)
	require.Equal(t, Go, w.node.Wanted())
	_, _ = w.change(Perl)
	require.Equal(t, Perl, w.node.Wanted())
	w.quorate = false
	_, err := w.change(Go)
	require.ErrorIs(t, err, ErrRefused)
	require.Equal(t, Perl, w.node.Wanted(), "a change that was refused was no choice")
	w.quorate = true
	_, _ = w.change(Go)
	require.Equal(t, Go, w.node.Wanted())
	require.False(t, w.node.there("/var/lib/pve-ha-go"))
}

func TestServicesThatStayFrozenAreTold(t *testing.T) {
	w := newWorld(t)
	w.writeManager(ha.Freeze)
	_, err := w.change(Go)
	require.EqualError(t, err, "the daemons run, but 1 services of this node are still frozen: see ha-manager status")
	have, err := w.node.Installed()
	require.NoError(t, err)
	require.Equal(t, Go, have)
}

func TestWithoutSystemdOnlyFilesChange(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.RemoveAll(w.node.at("/run/systemd")))
	for _, to := range []Stack{Go, Perl} {
		_, err := w.change(to)
		require.NoError(t, err)
		have, err := w.node.Installed()
		require.NoError(t, err)
		require.Equal(t, to, have)
		require.False(t, slices.ContainsFunc(w.calls, func(c string) bool { return strings.HasPrefix(c, "systemctl") }))
	}
}

func TestStatusTellsFilesFromProcesses(t *testing.T) {
	w := newWorld(t)
	whole, err := w.node.Status()
	require.NoError(t, err)
	require.True(t, whole)
	_, _ = w.change(Go)
	w.out.Reset()
	whole, err = w.node.Status()
	require.NoError(t, err)
	require.True(t, whole)
	require.Regexp(t, `^files                go
watchdog-mux.service active, perl \(PID \d+\), go after the next boot
pve-ha-crm.service   active, go \(PID \d+\)
pve-ha-lrm.service   active, go \(PID \d+\)
$`, w.out.String())

	delete(w.diversions, replacements[0].path)
	w.out.Reset()
	whole, err = w.node.Status()
	require.NoError(t, err)
	require.False(t, whole)
	require.Contains(t, w.out.String(), "files                mixed\n")
	require.Contains(t, w.out.String(), "a change of the stack was broken off: complete it with pve-ha-switch go, or perl\n")
}
