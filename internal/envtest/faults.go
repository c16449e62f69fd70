package envtest

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse/hacfg"
	"pveha/crm"
	"pveha/internal/ha"
	"pveha/lrm"
)

// call is one use of the cluster file system.
type call struct {
	name string
	// do returns what the call returned beside its error.
	do func(crm.Env, lrm.Env) (any, error)
}

func reads(node string) []call {
	return []call{
		{"CRM ReadManagerStatus", func(c crm.Env, _ lrm.Env) (any, error) { return c.ReadManagerStatus() }},
		{"LRM ReadManagerStatus", func(_ crm.Env, l lrm.Env) (any, error) { return l.ReadManagerStatus() }},
		{"CRM ReadLRMStatus", func(c crm.Env, _ lrm.Env) (any, error) { return c.ReadLRMStatus(node) }},
		{"CRM Services", func(c crm.Env, _ lrm.Env) (any, error) {
			s, _, err := c.Services()
			return s, err
		}},
		{"LRM Services", func(_ crm.Env, l lrm.Env) (any, error) {
			s, _, err := l.Services()
			return s, err
		}},
		{"CRM Rules", func(c crm.Env, _ lrm.Env) (any, error) { return c.Rules() }},
		{"CRM Groups", func(c crm.Env, _ lrm.Env) (any, error) { return c.Groups() }},
		{"CRM CommandsPending", func(c crm.Env, _ lrm.Env) (any, error) { return c.CommandsPending() }},
	}
}

// writes are calls that would change what snapshot sees.
func writes(nodes []string) []call {
	only := func(err error) (any, error) { return nil, err }
	return []call{
		{"CRM WriteManagerStatus", func(c crm.Env, _ lrm.Env) (any, error) {
			return only(c.WriteManagerStatus(managerSample(nodes, "the second")))
		}},
		{"LRM WriteLRMStatus", func(_ crm.Env, l lrm.Env) (any, error) {
			return only(l.WriteLRMStatus(lrmSample("the second")))
		}},
		{"CRM TakeCommands", func(c crm.Env, _ lrm.Env) (any, error) { return c.TakeCommands() }},
		{"CRM UpdateServices", func(c crm.Env, _ lrm.Env) (any, error) {
			return only(c.UpdateServices(map[ha.SID]crm.ServiceChange{"vm:101": {State: ha.RequestStopped}}))
		}},
		{"CRM WriteRules", func(c crm.Env, _ lrm.Env) (any, error) {
			r, _ := hacfg.ParseRules("rules.cfg", nil)
			return only(c.WriteRules(r))
		}},
		{"CRM DeleteGroups", func(c crm.Env, _ lrm.Env) (any, error) { return only(c.DeleteGroups()) }},
		{"CRM RemoveLocks", func(c crm.Env, _ lrm.Env) (any, error) {
			return c.RemoveLocks(LockedGuest, []string{GuestLock}, nodes[2])
		}},
		{"CRM Steal", func(c crm.Env, _ lrm.Env) (any, error) {
			return only(c.Steal("vm:101", nodes[0], nodes[1]))
		}},
	}
}

// prepare writes something everywhere, so that a zero value differs from what
// is there.
func prepare(t testing.TB, w World, node string) {
	t.Helper()
	require.NoError(t, w.CRM(node).WriteManagerStatus(managerSample(w.Nodes(), "first")))
	require.NoError(t, w.LRM(node).WriteLRMStatus(lrmSample("first")))
	w.Queue("arm-ha")
}

// requirePrepared checks that all is as prepare left it, and undoes what it
// looks at on the way.
func requirePrepared(t testing.TB, w World, node string) {
	t.Helper()
	reader := w.CRM(w.Nodes()[1])
	require.Equal(t, string(managerSample(w.Nodes(), "first").Encode()), managerText(t, reader))
	require.Equal(t, string(lrmSample("first").Encode()), lrmText(t, reader, node))
	requireServices(t, w, Services(w.Nodes()))
	require.Equal(t, canonicalRules(t), rulesText(t, reader))
	require.Equal(t, canonicalGroups(t), groupsText(t, reader))
	require.Equal(t, []string{"arm-ha"}, take(t, reader))
	lock, err := reader.RemoveLocks(LockedGuest, []string{GuestLock}, w.Nodes()[2])
	require.NoError(t, err)
	require.Equal(t, GuestLock, lock)
}

var faultClauses = []Clause{
	{Name: "a node without files gets errors and changes nothing", Needs: []Condition{NoFiles}, Check: func(t testing.TB, w World) {
		broken := w.Nodes()[0]
		prepare(t, w, broken)
		set(t, w, NoFiles, broken)
		for _, c := range append(reads(broken), writes(w.Nodes())...) {
			value, err := c.do(w.CRM(broken), w.LRM(broken))
			require.Error(t, err, c.name)
			if value != nil {
				require.True(t, reflect.ValueOf(value).IsZero(), "%s: with an error goes no value, got %v", c.name, value)
			}
		}
		mend(t, w, NoFiles, broken)
		requirePrepared(t, w, broken)
	}},
	{Name: "a node without files does not disturb the others", Needs: []Condition{NoFiles}, Check: func(t testing.TB, w World) {
		broken, there := w.Nodes()[0], w.Nodes()[1]
		prepare(t, w, broken)
		set(t, w, NoFiles, broken)
		for _, c := range append(reads(broken), writes(w.Nodes())...) {
			_, err := c.do(w.CRM(there), w.LRM(there))
			require.NoError(t, err, c.name)
		}
	}},
	{Name: "a node without quorum writes nothing", Needs: []Condition{CutOff}, Check: func(t testing.TB, w World) {
		lost := w.Nodes()[0]
		prepare(t, w, lost)
		set(t, w, CutOff, lost)
		for _, c := range writes(w.Nodes()) {
			_, err := c.do(w.CRM(lost), w.LRM(lost))
			require.Error(t, err, c.name)
		}
		mend(t, w, CutOff, lost)
		requirePrepared(t, w, lost)
	}},
	{Name: "a node without quorum still reads what was written before", Needs: []Condition{CutOff}, Check: func(t testing.TB, w World) {
		lost := w.Nodes()[0]
		prepare(t, w, lost)
		set(t, w, CutOff, lost)
		for _, c := range reads(lost) {
			_, err := c.do(w.CRM(lost), w.LRM(lost))
			require.NoError(t, err, c.name)
		}
		require.Equal(t, string(managerSample(w.Nodes(), "first").Encode()), managerText(t, w.LRM(lost)))
		require.Equal(t, Services(w.Nodes()), services(t, w.LRM(lost)))
		require.True(t, pending(t, w.CRM(lost)))
	}},
}
