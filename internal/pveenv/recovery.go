package pveenv

import (
	"pveha/internal/ha"
	"pveha/lrm/agent"
	"pveha/pmxcfsio"
)

var _ agent.Files = (*pmxcfsio.FS)(nil)

// RemoveLocks removes one of locks from the configuration of a guest.
func (c *CRM) RemoveLocks(sid ha.SID, locks []string, node string) (string, error) {
	return agent.Recovery{Files: c.fs}.RemoveLocks(c.ctx, sid, locks, node)
}

// Steal moves the configuration of a guest from one node to another.
func (c *CRM) Steal(sid ha.SID, from, to string) error {
	return agent.Recovery{Files: c.fs}.Steal(c.ctx, sid, from, to)
}
