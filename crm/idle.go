package crm

import (
	"fmt"

	"pveha/internal/ha"
)

// healthy reports whether this node may be master: quorum, a consistent view
// of the cluster, a readable status, and no fencing of this node under way.
func (c *CRM) healthy() (*ha.ManagerStatus, bool) {
	ms, err := c.env.ReadManagerStatus()
	if err != nil {
		c.complain(ha.LevelErr, fmt.Sprintf("could not read manager status: %v", err))
		return nil, false
	}
	if !c.env.Quorate() || !c.refreshed {
		return nil, false
	}
	// A master in state fence could not even end that state: its rounds stop at
	// a node that is not online.
	self := c.env.NodeName()
	if ha.CountFencedServices(ms.ServiceStatus, self) > 0 || ms.NodeStatus[self] == ha.NodeFence {
		return nil, false
	}
	return ms, true
}

// configured reports whether any service is configured.
func (c *CRM) configured() (bool, error) {
	services, _, err := c.env.Services()
	if err != nil {
		c.complain(ha.LevelErr, fmt.Sprintf("could not read service config: %v", err))
		return false, err
	}
	return len(services) > 0, nil
}

// hasWork reports whether the cluster needs a master and this node may be it.
func (c *CRM) hasWork() bool {
	ms, ok := c.healthy()
	if !ok {
		return false
	}
	some, err := c.configured()
	if err != nil {
		return false
	}
	if some {
		return true
	}
	if master := ms.MasterNode; master != "" && master != c.env.NodeName() &&
		ms.NodeStatus[master] == ha.NodeOnline {
		return false // another one looks after what is left
	}
	return c.leftover(ms)
}

// leftover reports whether anything is to be done in a cluster without a
// configured service.
func (c *CRM) leftover(ms *ha.ManagerStatus) bool {
	for node, state := range ms.NodeStatus {
		if state == ha.NodeMaintenance && !ms.NodeRequest[node].Maintenance {
			return true // it is back and should be seen online again
		}
	}
	if pending, err := c.env.CommandsPending(); err == nil && pending {
		return true
	}
	return len(ms.ServiceStatus) > 0 || ms.Disarm != nil
}

// mayIdle reports whether there is nothing for a master to do.
func (c *CRM) mayIdle() bool {
	ms, ok := c.healthy()
	if !ok || ms.Disarm != nil || len(ms.ServiceStatus) > 0 {
		return false // a disarmed stack waits for arm-ha
	}
	some, err := c.configured()
	return err == nil && !some
}
