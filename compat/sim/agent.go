package sim

import (
	"fmt"

	"pveha/internal/ha"
	"pveha/lrm"
)

// actionSeconds is how long a guest takes to start, stop or move.
const actionSeconds = 2

// agent handles the guests of a node: "vm", "ct", and "fa", which fails on
// purpose.
type agent struct{ *env }

var _ lrm.Agent = agent{}

// attempt counts the tries of a guest that needs several.
type attempt struct {
	sid    ha.SID
	action string
}

// Handles reports whether it is a simulated type of service.
func (a agent) Handles(serviceType string) bool {
	return serviceType == "vm" || serviceType == "ct" || serviceType == "fa"
}

// Running reports whether the guest runs on the node.
func (a agent) Running(sid ha.SID) (bool, error) { return a.node.running[sid], nil }

// Start starts the guest, unless it is locked or fails on purpose.
func (a agent) Start(sid ha.SID) error {
	if a.fails(sid, "start") {
		return nil
	}
	lock, err := a.lockOf(sid)
	if err != nil {
		return err
	}
	if lock != "" {
		a.logf(ha.LevelErr, "service '%s' locked (%s), unable to start!", sid, lock)
		return nil
	}
	a.Sleep(actionSeconds)
	a.node.running[sid] = true
	return nil
}

// Shutdown stops the guest, unless it is locked or fails on purpose.
func (a agent) Shutdown(sid ha.SID, _ string) error {
	if sid.Type() == "fa" && behaviourOf(sid).cannotStop || a.failsOnDemand(sid, "stop") {
		return nil
	}
	lock, err := a.lockOf(sid)
	if err != nil {
		return err
	}
	if lock != "" {
		a.logf(ha.LevelErr, "service '%s' locked (%s), unable to shutdown!", sid, lock)
		return nil
	}
	a.Sleep(actionSeconds)
	a.node.running[sid] = false
	return nil
}

// Migrate moves the guest to another node. A container has to stop for it.
func (a agent) Migrate(sid ha.SID, target string, online bool) (moved bool, err error) {
	if a.fails(sid, "migrate") {
		return false, nil
	}
	if sid.Type() == "ct" && online && a.node.running[sid] {
		a.logf(ha.LevelWarning, "unable to live migrate running container, fallback to relocate")
		online = false
	}
	verb := "relocate"
	if online {
		verb = "migrate"
	}
	a.logf(ha.LevelInfo, "service %s - start %s to node '%s'", sid, verb, target)
	lock, err := a.lockOf(sid)
	if err != nil {
		return false, err
	}
	if lock != "" {
		a.logf(ha.LevelErr, "service '%s' locked (%s), unable to %s!", sid, lock, verb)
		return false, nil
	}
	if !online && a.node.running[sid] {
		a.logf(ha.LevelInfo, "stopping service %s (relocate)", sid)
		if err := a.Shutdown(sid, ""); err != nil {
			return false, err
		}
		a.logf(ha.LevelInfo, "service status %s stopped", sid)
	} else {
		a.Sleep(actionSeconds)
	}
	if err := a.cluster.cfs.place(sid, a.node.name, target); err != nil {
		return false, err
	}
	a.logf(ha.LevelInfo, "service %s - end %s to node '%s'", sid, verb, target)
	delete(a.node.running, sid)
	return true, nil
}

func (a agent) lockOf(sid ha.SID) (string, error) {
	g := a.cluster.cfs.guests[sid]
	if g == nil {
		return "", fmt.Errorf("no such service '%s'", sid)
	}
	return g.lock, nil
}

func (a agent) logf(level ha.Level, format string, args ...any) {
	a.Log(ha.Entry{Level: level, Text: fmt.Sprintf(format, args...)})
}

// fails reports whether this try of an action fails on purpose.
func (a agent) fails(sid ha.SID, action string) bool {
	if a.failsOnDemand(sid, action) {
		return true
	}
	if sid.Type() != "fa" {
		return false
	}
	b := behaviourOf(sid)
	key := attempt{sid, action}
	if b.onlyNode == 0 || a.node.name == fmt.Sprintf("node%d", b.onlyNode) {
		a.cluster.attempts[key]++
		if b.failures[action] >= a.cluster.attempts[key] {
			return true
		}
	}
	a.cluster.attempts[key] = 0
	return false
}

// failsOnDemand reports whether a command wants this try to fail.
func (a agent) failsOnDemand(sid ha.SID, action string) bool {
	g := a.cluster.cfs.guests[sid]
	return g != nil && g.failsNow(action)
}

// behaviour is what the digits in the name of an "fa" service say. The first
// has no meaning; then come the failing tries of start and migrate, whether a
// stop fails, whether the guest exists, and the number of the one node on
// which tries fail (0: all).
type behaviour struct {
	failures   map[string]int
	cannotStop bool
	onlyNode   int
}

func behaviourOf(sid ha.SID) behaviour {
	digits := sid.Name()
	digit := func(i int) int {
		if i < len(digits) {
			return int(digits[i] - '0')
		}
		return 0
	}
	const leastDigits = 3
	if len(digits) < leastDigits {
		return behaviour{}
	}
	return behaviour{
		failures:   map[string]int{"start": digit(1), "migrate": digit(2)},
		cannotStop: digit(3) != 0,
		onlyNode:   digit(5),
	}
}
