package sim

import "pveha/internal/ha"

// A slip is something that the Perl stack does by mistake, that a recorded log
// shows, and that our daemons do better. Where a log is compared with a
// recorded one, the simulator copies it: what is below, and the fencing of
// disarmed nodes (crm.Config.DisarmedLockProves).

// slipEndsLRM reports whether the Perl stack's LRM would end now: one that is
// to end and hands over its services ends at once when it cannot read the
// manager status, whatever still runs. (Ours waits for the file system. Without
// a request to end the original's simulator gives up at this point.)
func (c *Cluster) slipEndsLRM(n *node) bool {
	return c.opts.Slips && c.skip["lrm"] == 0 &&
		n.lrm.State() == ha.LRMMaintenance && !n.cfsRW &&
		(n.lrmRestart || n.shutdown != "")
}
