package sim

import (
	"errors"
	"slices"

	"pveha/internal/ha"
)

// watchdogTimeout is how long a client may be silent, in seconds: the client
// timeout of watchdog-mux.
const watchdogTimeout = 60

var errWatchdogExpired = errors.New("watchdog expired")

// watchdog is a daemon's connection to the multiplexer of its node.
type watchdog struct {
	cluster *Cluster
	node    *node
	updated ha.Epoch
}

func (w *watchdog) expired() bool { return w.cluster.now-w.updated > watchdogTimeout }

func (w *watchdog) check() error {
	switch {
	case !slices.Contains(w.node.watchdogs, w):
		return errors.New("no such watchdog handle")
	case w.expired():
		return errWatchdogExpired
	}
	return nil
}

// Update keeps the node alive.
func (w *watchdog) Update() error {
	if err := w.check(); err != nil {
		return err
	}
	w.updated = w.cluster.now
	return nil
}

// Close says goodbye.
func (w *watchdog) Close() error {
	if err := w.check(); err != nil {
		return err
	}
	w.node.watchdogs = slices.DeleteFunc(w.node.watchdogs, func(o *watchdog) bool { return o == w })
	return nil
}

// OpenWatchdog connects to the multiplexer of the node.
func (e *env) OpenWatchdog() (ha.Watchdog, error) {
	w := &watchdog{cluster: e.cluster, node: e.node, updated: e.cluster.now}
	e.node.watchdogs = append(e.node.watchdogs, w)
	return w, nil
}

// checkWatchdogs resets every node on which a client has been silent for too
// long.
func (c *Cluster) checkWatchdogs() {
	for _, name := range c.names {
		n := c.nodes[name]
		if !slices.ContainsFunc(n.watchdogs, (*watchdog).expired) {
			continue
		}
		c.logf(ha.LevelInfo, logWatchdog, "execute power %s off", name)
		c.powerOff(n)
		c.logf(ha.LevelInfo, logHardware, "server '%s' stopped by poweroff (watchdog)", name)
	}
}
