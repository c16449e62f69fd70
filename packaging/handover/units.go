package handover

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Names of the units, which are those of the Perl package.
const (
	unitCRM = "pve-ha-crm.service"
	unitLRM = "pve-ha-lrm.service"
	unitMux = "watchdog-mux.service"
)

// units are all of them, in the order of their start.
var units = []string{unitMux, unitCRM, unitLRM}

// dropIn returns where the drop-in of a unit is, and what the link there points
// to.
func dropIn(unit string) (target, path string) {
	return shared + "units/" + unit + ".conf", "/usr/lib/systemd/system/" + unit + ".d/pve-ha-go.conf"
}

// unitState is what systemd says of a unit.
type unitState struct {
	active  string // "active", "inactive", "failed", ...
	enabled string
	pid     int // of its main process, 0 for none
}

func (u unitState) running() bool { return u.active == "active" || u.active == "reloading" }

func (n *Node) unit(name string) (unitState, error) {
	out, err := n.Run("systemctl", "show", "--property=ActiveState", "--property=UnitFileState", "--property=MainPID", name)
	if err != nil {
		return unitState{}, fmt.Errorf("cannot ask for %s: %w", name, err)
	}
	var u unitState
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "ActiveState":
			u.active = value
		case "UnitFileState":
			u.enabled = value
		case "MainPID":
			u.pid, _ = strconv.Atoi(value) // 0 for what is none
		}
	}
	return u, nil
}

// ownProgram tells whether the main process of a unit is ours, and whether its
// file has been replaced since it was started.
func (n *Node) ownProgram(u unitState) (ours, replaced bool) {
	exe, err := os.Readlink(n.at(fmt.Sprintf("/proc/%d/exe", u.pid)))
	if err != nil {
		return false, false
	}
	name, replaced := strings.CutSuffix(exe, " (deleted)")
	return strings.HasPrefix(name, programs), replaced
}

// waiting is the file with the units that have to be started again.
const waiting = "/run/pve-ha-switch/start"

// remember adds units to those that have to be started again.
func (n *Node) remember(names []string) error {
	all, err := n.remembered()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(n.at(waiting)), 0o755); err != nil {
		return err
	}
	fresh := n.at(waiting) + ".new"
	if err := os.WriteFile(fresh, []byte(strings.Join(all, "\n")+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(fresh, n.at(waiting))
}

func (n *Node) remembered() ([]string, error) {
	data, err := os.ReadFile(n.at(waiting))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(data)), err
}

func (n *Node) forget() error {
	if err := os.Remove(n.at(waiting)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_ = os.Remove(filepath.Dir(n.at(waiting))) // absent already, or there is something in it
	return nil
}

// halt stops the daemons that run: the LRM first, which needs a master to
// freeze its services.
func (n *Node) halt() error {
	var running []string
	for _, name := range []string{unitLRM, unitCRM} {
		u, err := n.unit(name)
		if err != nil {
			return err
		}
		if u.active != "inactive" && u.active != "failed" {
			running = append(running, name)
		}
	}
	if err := n.remember(running); err != nil {
		return fmt.Errorf("cannot note which units run: %w", err)
	}
	for _, name := range running {
		if name == unitLRM {
			n.say("waiting for the LRM to end, which takes until the master has frozen its services")
		}
		if _, err := n.Run("systemctl", "stop", name); err != nil {
			return fmt.Errorf("cannot stop %s: %w", name, err)
		}
	}
	return nil
}

// Recover starts the units that a broken run has stopped. Whatever their files
// are by now, they work together.
func (n *Node) Recover() error {
	names, err := n.remembered()
	if err != nil {
		return err
	}
	slices.SortFunc(names, func(a, b string) int { return slices.Index(units, a) - slices.Index(units, b) })
	var problems []error
	for _, name := range names {
		if _, err := n.Run("systemctl", "start", name); err != nil {
			problems = append(problems, fmt.Errorf("cannot start %s: %w", name, err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	return n.forget()
}

// addDropIns tells systemd that the daemons of the units are ours.
func (n *Node) addDropIns() error {
	for _, name := range units {
		if err := n.link(dropIn(name)); err != nil {
			return fmt.Errorf("cannot add the drop-in of %s: %w", name, err)
		}
	}
	return n.reload()
}

func (n *Node) removeDropIns() error {
	for _, name := range units {
		if err := n.unlink(dropIn(name)); err != nil {
			return fmt.Errorf("cannot remove the drop-in of %s: %w", name, err)
		}
	}
	return n.reload()
}

func (n *Node) reload() error {
	if !n.booted() {
		return nil
	}
	_, err := n.Run("systemctl", "daemon-reload")
	return err
}

// booted tells whether systemd runs this machine: not so in an installer or an
// image builder, where there are files alone.
func (n *Node) booted() bool { return n.there("/run/systemd/system") }
