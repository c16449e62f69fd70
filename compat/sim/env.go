package sim

import (
	"fmt"

	"pveha/crm"
	"pveha/crm/nodestate"
	"pveha/internal/ha"
	"pveha/lrm"
)

// The daemons, as the log and the commands name them.
const (
	daemonCRM = "crm"
	daemonLRM = "lrm"
)

// env is the environment of one daemon on one node. Its clock stands still
// while the daemon works; what the work would have taken is only added up.
type env struct {
	cluster *Cluster
	node    *node
	daemon  string // daemonCRM or daemonLRM
	now     ha.Epoch
	spent   int64 // seconds the current round would have taken
}

var (
	_ crm.Env = (*env)(nil)
	_ lrm.Env = (*env)(nil)
)

// maxRound is how long one round may take before the simulation gives up, in
// seconds.
const maxRound = 300

// round runs one round of the daemon.
func (e *env) round(iterate func() (bool, error)) (alive bool, err error) {
	e.sync()
	alive, err = iterate()
	for n := e.cluster.extra(); n > 0 && alive && err == nil; n-- {
		alive, err = iterate()
	}
	switch {
	case err != nil && !e.cluster.goesOn:
		return alive, err
	case err != nil:
		// As a daemon's process does: it says so and tries again.
		e.Log(ha.Entry{Level: ha.LevelErr, Text: err.Error()})
		alive = true
	case e.spent > maxRound && !e.cluster.goesOn:
		return alive, fmt.Errorf("loop took too long (%d seconds)", e.spent)
	}
	e.spent = 0
	e.now++ // so that the order of the rounds shows in the log
	return alive, nil
}

// sync sets the daemon's clock to the cluster's.
func (e *env) sync() {
	e.spent = 0
	e.now = max(e.now, e.cluster.now)
}

// Now returns the time at which the round began. With workers, who go on in the
// meantime, the LRM sees its round pass.
func (e *env) Now() ha.Epoch {
	if e.cluster.maxWorkers > 0 && e.daemon == daemonLRM {
		return e.now + ha.Epoch(e.spent)
	}
	return e.now
}

// Monotonic is the same: nobody sets the clock of the simulation.
func (e *env) Monotonic() ha.Epoch { return e.Now() }

// Sleep makes the round longer.
func (e *env) Sleep(seconds int64) { e.spent += seconds }

// SleepUntil makes the round last at least until t. Nothing happens meanwhile.
func (e *env) SleepUntil(t ha.Epoch) (woken bool) {
	if now := int64(e.now) + e.spent; now < int64(t) {
		e.spent += int64(t) - now
	}
	return false
}

// Log writes to the log of the simulation.
func (e *env) Log(entry ha.Entry) {
	e.cluster.logDaemon(e, string(entry.Level), entry.Text)
}

func (e *env) info(text string) { e.Log(ha.Entry{Level: ha.LevelInfo, Text: text}) }

// Notify logs the subject of the message.
func (e *env) Notify(n nodestate.FenceNotification) {
	e.cluster.logDaemon(e, "email", n.Prefix+": "+n.Subject)
}

// NodeName is the name of the node.
func (e *env) NodeName() string { return e.node.name }

// Quorate reports whether the node is connected to enough others.
func (e *env) Quorate() bool {
	online, quorate := e.cluster.online()
	return quorate && online[e.node.name]
}

// Refresh fails when the scenario says so.
func (e *env) Refresh() bool { return e.node.cfsUpdate }

// Members returns the nodes, and which are online.
func (e *env) Members() (map[string]nodestate.Member, error) {
	online, _ := e.cluster.online()
	members := make(map[string]nodestate.Member, len(e.cluster.names))
	for _, name := range e.cluster.names {
		members[name] = nodestate.Member{Online: online[name]}
	}
	return members, nil
}

// NodeVersion returns the version of a node's pve-manager.
func (e *env) NodeVersion(name string) (string, error) {
	n := e.cluster.nodes[name]
	if n == nil || n.version == "" {
		return defaultVersion, nil
	}
	return n.version, nil
}

// Scheduling returns the cluster's scheduling settings.
func (e *env) Scheduling() (crm.Scheduling, error) {
	return e.cluster.scheduling, nil
}

// ShutdownPolicy returns the cluster's shutdown policy.
func (e *env) ShutdownPolicy() (ha.ShutdownPolicy, error) {
	return e.cluster.shutdownPolicy, nil
}

// NodeShutdown reports whether a command shuts the node down.
func (e *env) NodeShutdown() (shutdown, reboot bool, err error) {
	shutdown = e.node.shutdown == string(VerbShutdown)
	reboot = e.node.shutdown == string(VerbReboot)
	return shutdown || reboot, reboot, nil
}

// GuestAlive knows nothing: the LRM looks after every guest in every round, as
// the Perl stack does.
func (e *env) GuestAlive(ha.SID) (alive, known bool) { return false, false }
