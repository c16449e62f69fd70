package pveenv

import (
	"pveha/internal/ha"
	"pveha/watchdogmux/wdclient"
)

// watchdog is a client of the multiplexer that says what becomes of it.
type watchdog struct {
	client *wdclient.Client
	node   *node
}

// OpenWatchdog connects to the multiplexer: from here on the node is reset
// unless the watchdog is updated or closed.
func (n *node) OpenWatchdog() (ha.Watchdog, error) {
	client, err := wdclient.Open(wdclient.Config{
		Path:  n.cfg.WatchdogSocket,
		Clock: n.clock.Boot,
		OnReconnect: func(lost error) {
			n.log(ha.LevelWarning, "connection to watchdog-mux was lost (%v), connected again", lost)
		},
	})
	if err != nil {
		return nil, err
	}
	n.log(ha.LevelInfo, "watchdog active")
	n.fence.armed(true)
	return &watchdog{client, n}, nil
}

// Update keeps the node alive for another while.
func (w *watchdog) Update() error {
	err := w.client.Update()
	w.node.fence.watchdog(err)
	return err
}

// Close ends the protection.
func (w *watchdog) Close() error {
	if err := w.client.Close(); err != nil {
		return err
	}
	w.node.log(ha.LevelInfo, "watchdog closed (disabled)")
	w.node.fence.armed(false)
	return nil
}
