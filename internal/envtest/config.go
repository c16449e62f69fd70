package envtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse/hacfg"
	"pveha/crm"
	"pveha/internal/ha"
)

// configReader reads the configured services; both daemons do.
type configReader interface {
	Services() (map[ha.SID]ha.ServiceConfig, string, error)
}

func services(t testing.TB, env configReader) map[ha.SID]ha.ServiceConfig {
	t.Helper()
	all, _, err := env.Services()
	require.NoError(t, err)
	return all
}

// requireServices checks what every daemon of every node reads.
func requireServices(t testing.TB, w World, want map[ha.SID]ha.ServiceConfig) {
	t.Helper()
	for _, node := range w.Nodes() {
		require.Equal(t, want, services(t, w.CRM(node)), node)
		require.Equal(t, want, services(t, w.LRM(node)), node)
	}
}

var serviceClauses = []Clause{
	{Name: "every daemon reads the configured services", Check: func(t testing.TB, w World) {
		requireServices(t, w, Services(w.Nodes()))
	}},
	{Name: "a service is changed in what the change says", Check: func(t testing.TB, w World) {
		yes, no := true, false
		require.NoError(t, w.CRM(w.Nodes()[1]).UpdateServices(map[ha.SID]crm.ServiceChange{
			"vm:101": {State: ha.RequestStopped, Failback: &no},
			"ct:102": {Failback: &yes},
			"vm:103": {DeleteGroup: true},
		}))
		want := Services(w.Nodes())
		change(want, "vm:101", func(c *ha.ServiceConfig) { c.State, c.Failback = ha.RequestStopped, false })
		change(want, "ct:102", func(c *ha.ServiceConfig) { c.Failback = true })
		change(want, "vm:103", func(c *ha.ServiceConfig) { c.Group = "" })
		requireServices(t, w, want)
	}},
	{Name: "a change that changes nothing is no error", Check: func(t testing.TB, w World) {
		env := w.CRM(w.Nodes()[0])
		require.NoError(t, env.UpdateServices(nil))
		require.NoError(t, env.UpdateServices(map[ha.SID]crm.ServiceChange{"vm:101": {}}))
		require.NoError(t, env.UpdateServices(map[ha.SID]crm.ServiceChange{"vm:101": {DeleteGroup: true}}))
		requireServices(t, w, Services(w.Nodes()))
	}},
	{Name: "services are changed all or none", Check: func(t testing.TB, w World) {
		err := w.CRM(w.Nodes()[0]).UpdateServices(map[ha.SID]crm.ServiceChange{
			"vm:101": {State: ha.RequestDisabled},
			"vm:102": {State: ha.RequestDisabled}, // there is a ct:102
			"vm:103": {DeleteGroup: true},
		})
		require.ErrorContains(t, err, "vm:102")
		requireServices(t, w, Services(w.Nodes()))
	}},
	{Name: "services once read stay as they are", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		byCRM, byLRM := services(t, w.CRM(n[0])), services(t, w.LRM(n[0]))
		require.NoError(t, w.CRM(n[0]).UpdateServices(map[ha.SID]crm.ServiceChange{
			"vm:101": {State: ha.RequestStopped},
		}))
		require.NoError(t, w.CRM(n[0]).Steal("ct:102", n[1], n[2]))
		require.Equal(t, Services(n), byCRM)
		require.Equal(t, Services(n), byLRM)
	}},
	{Name: "a change of the services shows in their digest", Check: func(t testing.TB, w World) {
		env := w.CRM(w.Nodes()[0])
		_, before, err := env.Services()
		require.NoError(t, err)
		require.NoError(t, env.UpdateServices(map[ha.SID]crm.ServiceChange{"vm:101": {State: ha.RequestStopped}}))
		_, after, err := env.Services()
		require.NoError(t, err)
		if before != "" || after != "" { // there may be none at all
			require.NotEqual(t, before, after)
		}
	}},
	{Name: "the schedulers know every configured service", Check: func(t testing.TB, w World) {
		for _, node := range w.Nodes() {
			guests, err := w.CRM(node).BasicServices()
			require.NoError(t, err)
			for sid, cfg := range Services(w.Nodes()) {
				require.Equal(t, cfg.Node, guests[sid].Node, sid)
				// Where the state is that of the guest itself, it is either started
				// or not.
				require.Equal(t, cfg.State == ha.RequestStarted, guests[sid].State == ha.RequestStarted, sid)
			}
		}
	}},
	{Name: "without a datacenter.cfg there are the defaults", Check: func(t testing.TB, w World) {
		for _, node := range w.Nodes() {
			scheduling, err := w.CRM(node).Scheduling()
			require.NoError(t, err)
			require.Equal(t, crm.DefaultScheduling(), scheduling)
			policy, err := w.LRM(node).ShutdownPolicy()
			require.NoError(t, err)
			require.Equal(t, ha.PolicyConditional, policy)
		}
	}},
}

func change(all map[ha.SID]ha.ServiceConfig, sid ha.SID, edit func(*ha.ServiceConfig)) {
	c := all[sid]
	edit(&c)
	all[sid] = c
}

func rulesText(t testing.TB, env crm.Env) string {
	t.Helper()
	r, err := env.Rules()
	require.NoError(t, err)
	require.NotNil(t, r)
	text, err := r.Write()
	require.NoError(t, err)
	return string(text)
}

func groupsText(t testing.TB, env crm.Env) string {
	t.Helper()
	g, err := env.Groups()
	require.NoError(t, err)
	require.NotNil(t, g)
	text, err := g.Write()
	require.NoError(t, err)
	return string(text)
}

// canonicalRules and canonicalGroups are what a new world has, as written back.
func canonicalRules(t testing.TB) string {
	t.Helper()
	r, problems := hacfg.ParseRules("rules.cfg", []byte(Rules))
	require.Empty(t, problems)
	text, err := r.Write()
	require.NoError(t, err)
	return string(text)
}

func canonicalGroups(t testing.TB) string {
	t.Helper()
	g, problems := hacfg.ParseGroups("groups.cfg", []byte(Groups))
	require.Empty(t, problems)
	text, err := g.Write()
	require.NoError(t, err)
	return string(text)
}

var ruleClauses = []Clause{
	{Name: "every node reads rules and groups", Check: func(t testing.TB, w World) {
		for _, node := range w.Nodes() {
			require.Equal(t, canonicalRules(t), rulesText(t, w.CRM(node)))
			require.Equal(t, canonicalGroups(t), groupsText(t, w.CRM(node)))
		}
	}},
	{Name: "rules belong to who reads them", Check: func(t testing.TB, w World) {
		env := w.CRM(w.Nodes()[0])
		mine, err := env.Rules()
		require.NoError(t, err)
		scrambleRules(mine)
		require.Equal(t, canonicalRules(t), rulesText(t, env))
		require.Equal(t, canonicalRules(t), rulesText(t, w.CRM(w.Nodes()[1])))
	}},
	{Name: "groups belong to who reads them", Check: func(t testing.TB, w World) {
		env := w.CRM(w.Nodes()[0])
		mine, err := env.Groups()
		require.NoError(t, err)
		for _, g := range mine.ByID {
			g.Nodes[0] = "scrambled"
			*g.NoFailback = false
		}
		clear(mine.ByID)
		require.Equal(t, canonicalGroups(t), groupsText(t, env))
	}},
	{Name: "written rules replace the old ones, and the writer may change its own", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		mine, err := w.CRM(n[0]).Rules()
		require.NoError(t, err)
		old, err := w.CRM(n[1]).Rules()
		require.NoError(t, err)
		delete(mine.ByID, "apart")
		mine.ByID["home"].Nodes[n[2]] = 7
		want, err := mine.Write()
		require.NoError(t, err)
		require.NoError(t, w.CRM(n[0]).WriteRules(mine))
		scrambleRules(mine)
		for _, node := range n {
			require.Equal(t, string(want), rulesText(t, w.CRM(node)))
		}
		held, err := old.Write()
		require.NoError(t, err)
		require.Equal(t, canonicalRules(t), string(held), "what a reader held")
	}},
	{Name: "deleted groups are gone", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		require.NoError(t, w.CRM(n[0]).DeleteGroups())
		for _, node := range n {
			g, err := w.CRM(node).Groups()
			require.NoError(t, err)
			require.Empty(t, g.ByID)
		}
		require.Error(t, w.CRM(n[1]).DeleteGroups(), "there is no file to delete")
	}},
}

func scrambleRules(r *hacfg.Rules) {
	for _, rule := range r.ByID {
		clear(rule.Resources)
		rule.Resources["vm:999"] = true
		for node := range rule.Nodes {
			rule.Nodes[node] = 999
		}
		rule.Comment = "scrambled"
	}
	delete(r.ByID, "home")
}

var recoveryClauses = []Clause{
	{Name: "a stolen guest is on the other node", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		require.NoError(t, w.CRM(n[1]).Steal("vm:101", n[0], n[2]))
		want := Services(n)
		change(want, "vm:101", func(c *ha.ServiceConfig) { c.Node = n[2] })
		requireServices(t, w, want)
	}},
	{Name: "a guest is not stolen from where it is not", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		require.Error(t, w.CRM(n[0]).Steal("vm:101", n[1], n[2]))
		require.Error(t, w.CRM(n[0]).Steal("vm:999", n[0], n[2]))
		requireServices(t, w, Services(n))
	}},
	{Name: "a leftover lock is removed when it is one of those asked for", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		env := w.CRM(n[0])
		lock, err := env.RemoveLocks(LockedGuest, []string{"mounted", "migrate"}, n[2])
		require.NoError(t, err)
		require.Empty(t, lock)
		lock, err = env.RemoveLocks(LockedGuest, []string{"mounted", GuestLock, "migrate"}, n[2])
		require.NoError(t, err)
		require.Equal(t, GuestLock, lock)
		lock, err = env.RemoveLocks(LockedGuest, []string{"mounted", GuestLock, "migrate"}, n[2])
		require.NoError(t, err)
		require.Empty(t, lock, "it is gone")
		requireServices(t, w, Services(n))
	}},
	{Name: "a guest without a lock has none removed, and a guest that does not exist is an error", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		lock, err := w.CRM(n[0]).RemoveLocks("vm:101", []string{GuestLock}, n[0])
		require.NoError(t, err)
		require.Empty(t, lock)
		_, err = w.CRM(n[0]).RemoveLocks("vm:999", []string{GuestLock}, n[0])
		require.Error(t, err)
	}},
}
