package pveenv

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"pveha/crm/nodestate"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// viewAge is how old an answer about the membership may be within a round. It is
// no more than another moment to ask at: that somebody is dead is proved by
// locks.
const viewAge = time.Second

// view is who is in the cluster, as of this round. A round asks several times.
type view struct {
	mu      sync.Mutex
	known   bool
	at      time.Duration // on the clock of Boot, before it was asked for
	members pmxcfsio.Members
}

// forget is called when a round begins.
func (v *view) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known = false
}

// membership returns who is in the cluster, asked for in this round.
func (n *node) membership() (pmxcfsio.Members, error) {
	v := &n.view
	v.mu.Lock()
	defer v.mu.Unlock()
	now := n.clock.Boot()
	if v.known && now-v.at < viewAge {
		return v.members, nil
	}
	members, err := n.fs.Members(n.ctx)
	v.known, v.at, v.members = err == nil, now, members
	return members, err
}

// Quorate reports whether the local node is in the quorate partition.
func (n *node) Quorate() bool {
	members, err := n.membership()
	quorate := members.Quorate()
	if err != nil {
		quorate, err = n.fs.Quorate(n.ctx)
	}
	if err != nil {
		n.fence.files(false) // which says nothing of the quorum
		return false
	}
	n.sayQuorum(quorate)
	return quorate
}

// quorumState is whether there was quorum when somebody last looked.
type quorumState struct {
	mu         sync.Mutex
	known, has bool
}

// changed takes in a look and reports whether it is news.
func (q *quorumState) changed(has bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	news := q.known && q.has != has || !q.known && !has
	q.known, q.has = true, has
	return news
}

// sayQuorum tells of a loss of quorum, and of its end, with what is known of
// the reason.
func (n *node) sayQuorum(has bool) {
	n.fence.quorum(has)
	if !n.quorum.changed(has) {
		return
	}
	if has {
		n.log(ha.LevelNotice, "this node has quorum again")
		return
	}
	reason := ""
	for _, name := range sortedKeys(n.links.down()) {
		reason += fmt.Sprintf(", network link '%s' is down", name)
	}
	n.log(ha.LevelWarning, "this node has no quorum%s", reason)
}

// Refresh begins a round. The view of the cluster file system is brought up to
// date by every call that reads it; Refresh asks whether it is there.
func (n *node) Refresh() bool {
	n.begin()
	n.view.forget()
	_, err := n.fs.Versions(n.ctx)
	n.fence.files(err == nil)
	if err != nil {
		n.log(ha.LevelWarning, "cluster file system update failed - %v", err)
		return false
	}
	return true
}

// Members returns the nodes of the cluster and which of them are online. The
// local one always is.
func (c *CRM) Members() (map[string]nodestate.Member, error) {
	view, err := c.membership()
	if err != nil {
		return nil, err
	}
	members := make(map[string]nodestate.Member, len(view.Nodes)+1)
	for name, m := range view.Nodes {
		members[name] = nodestate.Member{Online: m.Online}
	}
	members[c.cfg.Node] = nodestate.Member{Online: true}
	c.nodesMu.Lock()
	c.members = sortedKeys(members)
	c.nodesMu.Unlock()
	c.returnAgentLocks(members)
	return members, nil
}

// NodeVersion returns the pve-manager version that a node has published, ""
// when it has not.
func (c *CRM) NodeVersion(node string) (string, error) {
	var info struct{ Version string }
	if err := c.published(node, "version-info", &info); err != nil {
		if errors.Is(err, pmxcfsio.ErrAbsent) || errors.Is(err, errNotJSON) {
			return "", nil
		}
		return "", err
	}
	return info.Version, nil
}

var errNotJSON = errors.New("not JSON")

// published reads what a node has published as JSON.
func (c *CRM) published(node, key string, into any) error {
	raw, err := c.fs.KV(c.ctx, node, key)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return errors.Join(errNotJSON, err)
	}
	return nil
}
