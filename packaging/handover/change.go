package handover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// Stack is one of the two HA stacks.
type Stack string

// The stacks, and a node that has some of both.
const (
	Go    Stack = "go"
	Perl  Stack = "perl"
	Mixed Stack = "mixed"
)

// ErrRefused is returned when the change was not begun.
var ErrRefused = errors.New("nothing was changed")

// wanted is the file with the stack that the administrator chose, which an
// upgrade of the package keeps. Without it that is [Go].
const wanted = "/var/lib/pve-ha-go/stack"

// Wanted returns the stack that the administrator chose last.
func (n *Node) Wanted() Stack {
	data, err := os.ReadFile(n.at(wanted))
	if err == nil && strings.TrimSpace(string(data)) == string(Perl) {
		return Perl
	}
	return Go
}

// choose notes which stack the administrator wants.
func (n *Node) choose(s Stack) error {
	if s == Go {
		return n.forgetChoice()
	}
	if err := os.MkdirAll(filepath.Dir(n.at(wanted)), 0o755); err != nil {
		return err
	}
	return os.WriteFile(n.at(wanted), []byte(string(s)+"\n"), 0o644)
}

func (n *Node) forgetChoice() error {
	if err := os.Remove(n.at(wanted)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_ = os.Remove(filepath.Dir(n.at(wanted))) // absent already
	return nil
}

// Installed returns the stack whose files are in place.
func (n *Node) Installed() (Stack, error) {
	counts := map[fileState]int{}
	for _, r := range replacements {
		state, err := n.inspect(r)
		if err != nil {
			return Mixed, err
		}
		counts[state]++
	}
	links := 0
	for _, name := range units {
		if n.linked(dropIn(name)) {
			links++
		}
	}
	switch {
	case counts[stateOurs] == len(replacements) && links == len(units):
		return Go, nil
	case counts[stateTheirs] == len(replacements) && links == 0:
		return Perl, nil
	}
	return Mixed, nil
}

// Switch makes the node run a stack. It does nothing where that is so already,
// and completes what an earlier run did not. The error is [ErrRefused] when it
// was not begun. A choice is what an administrator makes: upgrades keep it.
func (n *Node) Switch(ctx context.Context, to Stack, choice bool) error {
	needed, err := n.needed(to)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if needed && n.booted() && !n.checkFor(ctx, to) {
		return ErrRefused
	}
	if choice {
		if err := n.choose(to); err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	if !needed {
		n.say("the %s stack runs on this node already", to)
		return nil
	}
	if !n.booted() {
		return n.swap(to)
	}
	begun := n.Now()
	if err := n.halt(); err != nil {
		return n.rescue(err)
	}
	if err := n.swap(to); err != nil {
		return n.rescue(err)
	}
	n.say("starting the daemons of the %s stack", to)
	if err := n.Recover(); err != nil {
		return err
	}
	if err := n.settle(ctx, begun); err != nil {
		return err
	}
	n.say("the %s stack runs on this node", to)
	return nil
}

// checkFor looks whether the change may begin. One that an earlier run has begun
// needs no more than what lets the LRM end, and there is no way but on.
func (n *Node) checkFor(ctx context.Context, to Stack) bool {
	have, err := n.Installed()
	if err != nil {
		n.say("no: %v", err)
		return false
	}
	if to == Go && have == Perl {
		return n.Check(ctx)
	}
	return n.report(n.handoverFindings(ctx))
}

// rescue starts again what was stopped.
func (n *Node) rescue(cause error) error {
	n.say("%v", cause)
	n.say("starting the daemons again; run the command once more to complete the change")
	return errors.Join(cause, n.Recover())
}

// needed tells whether there is anything to do.
func (n *Node) needed(to Stack) (bool, error) {
	have, err := n.Installed()
	if err != nil || have != to || !n.booted() {
		return have != to, err
	}
	left, err := n.remembered()
	if err != nil || len(left) > 0 {
		return true, err
	}
	for _, name := range []string{unitCRM, unitLRM} {
		u, err := n.unit(name)
		if err != nil {
			return true, err
		}
		ours, replaced := n.ownProgram(u)
		if u.running() && (ours != (to == Go) || ours && replaced) {
			return true, nil
		}
	}
	return false, nil
}

// swap puts the files of a stack in place. The drop-ins are there only while
// the programs are ours.
func (n *Node) swap(to Stack) error {
	if to == Perl {
		if err := n.removeDropIns(); err != nil {
			return err
		}
		for _, r := range replacements {
			if err := n.restore(r); err != nil {
				return err
			}
		}
		return nil
	}
	for _, r := range replacements {
		if err := n.replace(r); err != nil {
			return err
		}
	}
	return n.addDropIns()
}

// settleTime is how long the services may stay frozen behind a change: the
// master needs a round to see the LRM, and the LRM one to see that.
const settleTime = 2 * time.Minute

// settle waits until the services of the node are under the care of the LRM
// again, so that the next node may follow.
func (n *Node) settle(ctx context.Context, begun time.Time) error {
	if u, err := n.unit(unitLRM); err != nil || !u.running() {
		return err
	}
	frozen := 0
	for end := n.Now().Add(settleTime); n.Now().Before(end); n.Sleep(time.Second) {
		ms, lrm, err := n.statuses(ctx)
		if err != nil || lrm == nil || int64(lrm.Timestamp) < begun.Unix() || lrm.Mode == ha.ModeRestart {
			continue
		}
		frozen = countFrozen(ms, n.Name)
		if frozen == 0 && (lrm.State != ha.LRMWaitForAgentLock || !needsLock(ms, n.Name)) {
			return nil
		}
	}
	if frozen > 0 {
		return fmt.Errorf("the daemons run, but %d services of this node are still frozen: see ha-manager status", frozen)
	}
	return fmt.Errorf("the daemons run, but the LRM has not taken its services over: see journalctl -u %s", unitLRM)
}

// needsLock tells whether services of the node run that its LRM has to protect.
func needsLock(ms *ha.ManagerStatus, node string) bool {
	return ms != nil && ms.Disarm == nil && ha.CountActiveServices(ms.ServiceStatus, node) > 0
}

// countFrozen counts the services of a node that wait for its LRM. Those of a
// stack that is disarmed wait for a person.
func countFrozen(ms *ha.ManagerStatus, node string) int {
	count := 0
	if ms == nil || ms.Disarm != nil {
		return 0
	}
	for _, s := range ms.ServiceStatus {
		if s.Node == node && s.State == ha.Freeze {
			count++
		}
	}
	return count
}

// statuses reads the manager's and the local LRM's status; nil is one that was
// never written.
func (n *Node) statuses(ctx context.Context) (*ha.ManagerStatus, *ha.LRMStatus, error) {
	var ms *ha.ManagerStatus
	var lrm *ha.LRMStatus
	data, err := n.read(ctx, pmxcfsio.ManagerStatusFile)
	if err == nil && len(data) > 0 {
		ms, err = ha.ParseManagerStatus(pmxcfsio.ManagerStatusFile, data)
	}
	if err != nil {
		return nil, nil, err
	}
	file := pmxcfsio.LRMStatusFile(n.Name)
	data, err = n.read(ctx, file)
	if err == nil && len(data) > 0 {
		lrm, err = ha.ParseLRMStatus(file, data)
	}
	return ms, lrm, err
}

// read returns nil for a file that does not exist.
func (n *Node) read(ctx context.Context, name string) ([]byte, error) {
	data, err := n.Cluster.Read(ctx, name)
	if errors.Is(err, pmxcfsio.ErrAbsent) {
		return nil, nil
	}
	return data, err
}
