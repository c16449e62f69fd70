package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"pveha/internal/envtest"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// TestContractOfTheClusterFileSystem holds the simulated cluster file system to
// the contract of the real one, as far as it goes: the simulation has locks,
// status files and places of guests, and no other files.
func TestContractOfTheClusterFileSystem(t *testing.T) {
	for _, wire := range []bool{false, true} {
		t.Run(fmt.Sprintf("wire=%t", wire), func(t *testing.T) {
			envtest.RunFS(t, func(t *testing.T) envtest.FSWorld { return fsWorld{newWorld(t, wire), new(sync.Mutex)} })
		})
	}
}

// fsWorld shows a simulated cluster as a cluster file system. Its nodes take
// turns, as they do in the simulation.
type fsWorld struct {
	*world
	turn *sync.Mutex
}

func (w fsWorld) FS(node string) envtest.FS { return simFS{w, node} }

func (w fsWorld) Names() envtest.FSNames {
	return envtest.FSNames{
		Locks: [2]string{pmxcfsio.ManagerLock, pmxcfsio.AgentLock(w.names[1])}, Domain: pmxcfsio.HADomain,
		File: pmxcfsio.ManagerStatusFile, Counted: pmxcfsio.ManagerStatusFile, Guest: 101, NoGuest: 999,
	}
}

func (w fsWorld) Set(c envtest.Condition, node string, on bool) error {
	if _, lacking := w.Lacks()[c]; lacking {
		return errors.ErrUnsupported
	}
	return w.world.Set(c, node, on)
}

func (w fsWorld) Lacks() map[envtest.Condition]string {
	return map[envtest.Condition]string{
		envtest.DeadMount:  "the simulated file system is there or not there",
		envtest.Domains:    "simulated daemons take turns, so that nobody has to wait",
		envtest.Folders:    "the simulation has the files of the HA stack alone",
		envtest.Counters:   "every simulated node sees a change at once",
		envtest.GuestFiles: "guests are part of a scenario",
	}
}

// simFS is one node of it.
type simFS struct {
	w    fsWorld
	node string
}

// kind says what an error of the simulation is called by the client.
func kind(err error) error {
	switch {
	case errors.Is(err, errNotMounted):
		return errors.Join(pmxcfsio.ErrNotMounted, err)
	case errors.Is(err, errReadOnly):
		return errors.Join(pmxcfsio.ErrNoQuorum, err)
	}
	return err
}

// do runs a call as the node's CRM.
func (f simFS) do(call func(e *env) error) error {
	f.w.turn.Lock()
	defer f.w.turn.Unlock()
	return kind(call(f.w.nodes[f.node].crmEnv))
}

// simLock is a lock on one node.
type simLock struct {
	simFS
	name string
}

func (f simFS) Lock(name string) envtest.FSLock { return simLock{f, name} }

func (l simLock) Take(context.Context) error {
	return l.do(func(e *env) error {
		if !e.take(l.name) {
			return pmxcfsio.ErrHeld
		}
		return nil
	})
}

func (l simLock) Release(context.Context) error {
	return l.do(func(e *env) error {
		if !e.release(l.name) {
			return pmxcfsio.ErrHeld
		}
		return nil
	})
}

func (f simFS) Read(_ context.Context, name string) ([]byte, error) {
	var text []byte
	err := f.do(func(e *env) error {
		if name != pmxcfsio.ManagerStatusFile {
			return errors.ErrUnsupported
		}
		s, err := e.ReadManagerStatus()
		if err != nil {
			return err
		}
		if text = s.Encode(); string(text) == string((&ha.ManagerStatus{}).Encode()) {
			return pmxcfsio.ErrAbsent
		}
		return nil
	})
	return text, err
}

func (f simFS) Write(_ context.Context, name string, data []byte) error {
	return f.do(func(e *env) error {
		if name != pmxcfsio.ManagerStatusFile {
			return errors.ErrUnsupported
		}
		s, err := ha.ParseManagerStatus(name, data)
		if err != nil {
			return err
		}
		return e.WriteManagerStatus(s)
	})
}

func (f simFS) MoveGuest(_ context.Context, _ pmxcfsio.GuestType, id uint32, from, to string) error {
	return f.do(func(e *env) error { return e.Steal(ha.SID(fmt.Sprintf("vm:%d", id)), from, to) })
}

func (f simFS) Quorate(context.Context) (quorate bool, err error) {
	err = f.do(func(e *env) error { quorate = e.Quorate(); return e.mounted() })
	return quorate, err
}

func (f simFS) Members(context.Context) (pmxcfsio.Members, error) {
	m := pmxcfsio.Members{Node: f.node, Nodes: map[string]pmxcfsio.Member{}, Cluster: &pmxcfsio.Cluster{}}
	err := f.do(func(e *env) error {
		m.Cluster.Quorate = e.Quorate()
		members, err := e.Members()
		for name, member := range members {
			// A node that is alone sees itself alone.
			m.Nodes[name] = pmxcfsio.Member{Online: member.Online && (m.Cluster.Quorate || name == f.node)}
		}
		return errors.Join(err, e.mounted())
	})
	return m, err
}

func (f simFS) Guests(context.Context) (pmxcfsio.Guests, error) {
	g := pmxcfsio.Guests{ByID: map[uint32]pmxcfsio.Guest{}}
	err := f.do(func(e *env) error {
		services, _, err := e.Services()
		for sid, s := range services {
			var id uint32
			if _, err := fmt.Sscanf(strings.TrimPrefix(string(sid), "vm:"), "%d", &id); err == nil {
				g.ByID[id] = pmxcfsio.Guest{Node: s.Node, Type: pmxcfsio.GuestQemu}
			}
		}
		return err
	})
	return g, err
}

func (f simFS) Versions(context.Context) (pmxcfsio.Versions, error) {
	return pmxcfsio.Versions{}, errors.ErrUnsupported
}

func (f simFS) List(context.Context, string) ([]string, error) { return nil, errors.ErrUnsupported }

func (f simFS) Remove(context.Context, string) error { return errors.ErrUnsupported }

func (f simFS) Domain(context.Context, string, func(string), func(context.Context) error) error {
	return errors.ErrUnsupported
}
