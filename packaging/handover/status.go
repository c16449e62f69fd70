package handover

import "fmt"

// Status shows which stack is in place and which runs. It returns true when
// that is one and the same everywhere, but for the watchdog multiplexer, which
// changes with the next boot.
func (n *Node) Status() (bool, error) {
	have, err := n.Installed()
	if err != nil {
		return false, err
	}
	n.say("%-20s %s", "files", have)
	whole := have != Mixed
	if !n.booted() {
		return whole, nil
	}
	for _, name := range units {
		u, err := n.unit(name)
		if err != nil {
			return false, err
		}
		text, same := n.describe(name, u, have)
		n.say("%-20s %s", name, text)
		whole = whole && same
	}
	left, err := n.remembered()
	if err == nil && (len(left) > 0 || have == Mixed) {
		n.say("a change of the stack was broken off: complete it with pve-ha-switch %s, or %s", Go, Perl)
		whole = false
	}
	return whole, err
}

func (n *Node) describe(name string, u unitState, have Stack) (text string, same bool) {
	if name == unitMux { // the one that its file will be
		have = Perl
		if n.linked(programs+"watchdog-mux", "/usr/sbin/watchdog-mux") {
			have = Go
		}
	}
	if !u.running() {
		return u.active, true
	}
	ours, replaced := n.ownProgram(u)
	stack := Perl
	if ours {
		stack = Go
	}
	text = fmt.Sprintf("%s, %s (PID %d)", u.active, stack, u.pid)
	switch {
	case ours && replaced:
		return text + ", of a version that was replaced", name == unitMux
	case stack != have && name == unitMux:
		return text + fmt.Sprintf(", %s after the next boot", have), true
	case stack != have:
		return text, false
	}
	return text, true
}
