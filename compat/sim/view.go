package sim

import (
	"maps"
	"slices"

	"pveha/internal/ha"
)

// View is what a person would see of the cluster at one time.
type View struct {
	Now    ha.Epoch
	Master string // node that wrote the manager status last
	Nodes  []NodeView
	Guests []GuestView
}

// NodeView is one node.
type NodeView struct {
	Name    string
	Power   bool
	Network bool
	CRM     ha.CRMState // "" when the daemon does not run
	LRM     ha.LRMState // likewise
	Mode    ha.LRMMode
	State   ha.NodeState // what the master thinks of it
}

// GuestView is one configured service.
type GuestView struct {
	SID    ha.SID
	Wanted ha.RequestState
	State  ha.ServiceState // what the master decided; "" when it does not know it yet
	Node   string          // where its configuration is
	Target string          // where it moves to
	Runs   []string        // nodes on which it runs: none, or one if all is well
}

// View returns the state of the cluster.
func (c *Cluster) View() View {
	ms := c.cfs.manager
	v := View{Now: c.now, Master: ms.MasterNode}
	for _, name := range c.names {
		n := c.nodes[name]
		nv := NodeView{Name: name, Power: n.power, Network: n.network, State: ms.NodeStatus[name]}
		if nv.State == "" {
			nv.State = ha.NodeUnknown
		}
		if n.crm != nil {
			nv.CRM = n.crm.State()
		}
		if n.lrm != nil {
			nv.LRM, nv.Mode = n.lrm.State(), n.lrm.Mode()
		}
		v.Nodes = append(v.Nodes, nv)
	}
	for _, sid := range slices.Sorted(maps.Keys(c.cfs.guests)) {
		g := c.cfs.guests[sid]
		gv := GuestView{SID: sid, Wanted: g.State, Node: g.Node}
		if s := ms.ServiceStatus[sid]; s != nil {
			gv.State, gv.Target = s.State, s.Target
		}
		for _, name := range c.names {
			if c.nodes[name].running[sid] {
				gv.Runs = append(gv.Runs, name)
			}
		}
		v.Guests = append(v.Guests, gv)
	}
	return v
}
