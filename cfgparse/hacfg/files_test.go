package hacfg

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse"
	"pveha/internal/ha"
)

func on() *bool  { b := true; return &b }
func off() *bool { b := false; return &b }

func number(n int) *int { return &n }

func warnings(problems []Problem) []string {
	var list []string
	for i := range problems {
		list = append(list, problems[i].Warning())
	}
	return list
}

func TestResourcesHaveTypes(t *testing.T) {
	r, problems := ParseResources("resources.cfg", []byte("VM: 100\n\tstate enabled\n\tgroup g1\n\tfailback 0\n\tmax_restart 007\n\tmax_relocate 99999999999999999999\n\tcomment ü\n\nct: 101\n\nfa: 1\n"))
	require.Equal(t, []string{"file resources.cfg line 11 (skip section 'fa:1'): no such resource type 'fa'\n"}, warnings(problems))
	require.Len(t, r.ByID, 2)
	vm := r.ByID["vm:100"]
	require.Equal(t, ha.SID("vm:100"), vm.SID)
	require.Equal(t, "ü", vm.Comment)
	require.Equal(t, off(), vm.Failback)
	require.Equal(t, number(7), vm.MaxRestart)
	require.Equal(t, number(math.MaxInt), vm.MaxRelocate)
	require.Equal(t, ha.ServiceConfig{State: ha.RequestStarted, Group: "g1", MaxRestart: 7, MaxRelocate: math.MaxInt}, vm.Service())
	require.Equal(t, ha.ServiceConfig{State: ha.RequestStarted, Failback: true, MaxRestart: 1, MaxRelocate: 1}, r.ByID["ct:101"].Service())

	out, err := r.Write()
	require.NoError(t, err)
	require.Equal(t, "vm: 100\n\tcomment ü\n\tfailback 0\n\tgroup g1\n\tmax_relocate 1e+20\n\tmax_restart 7\n\tstate enabled\n\nct: 101\n\n", string(out))
}

func TestResourceEditsAreWrittenLikeThePerlStackDoes(t *testing.T) {
	r, _ := ParseResources("f", []byte("# note\nvm: 100\n\tstate stopped\n\tmax_restart 2\n\nct: 101\n\n"))
	require.NoError(t, r.Add("vm:102", map[string]string{"failback": "0"}))
	require.NoError(t, r.Change("vm:100", Change{
		Set:    map[string]string{"state": "started", "max_relocate": "+3", "comment": "new: 5%"},
		Delete: []string{"max_restart", "group"},
	}))
	require.True(t, r.Remove("ct:101"))
	require.False(t, r.Remove("ct:101"))
	out, err := r.Write()
	require.NoError(t, err)
	require.Equal(t, "vm: 100\n\tcomment new: 5%\n\tmax_relocate 3\n\tstate started\n\nvm: 102\n\tfailback 0\n\n", string(out))
}

func TestResourceEditsThatFailChangeNothing(t *testing.T) {
	raw := "vm: 100\n\tstate stopped\n\n"
	r, _ := ParseResources("f", []byte(raw))
	require.EqualError(t, r.Change("vm:101", Change{}), "no such resource 'vm:101'")
	require.EqualError(t, r.Change("vm:100", Change{Set: map[string]string{"state": "on", "comment": "x"}}),
		"property 'state': value 'on' does not have a value in the enumeration 'started, stopped, enabled, disabled, ignored'")
	require.EqualError(t, r.Change("vm:100", Change{Set: map[string]string{"comment": "x"}, Delete: []string{"nosuch"}}), "no such option 'nosuch'")
	require.EqualError(t, r.Change("vm:100", Change{Set: map[string]string{"nodes": "x"}}), "unexpected property 'nodes'")
	require.EqualError(t, r.Add("vm:100", nil), "resource ID 'vm:100' already defined")
	require.EqualError(t, r.Add("fa:100", nil), "no such resource type 'fa'")
	require.EqualError(t, r.Add("vm:1x", nil), "invalid VMID")
	out, err := r.Write()
	require.NoError(t, err)
	require.Equal(t, raw, string(out))
}

func TestGroupsKeepTheOrderOfTheirNodes(t *testing.T) {
	raw := "group: g1\n\tcomment 50%3A\n\tnodes node3:2,node1,node2:0\n\tnofailback 1\n\trestricted 0\n\n"
	g, problems := ParseGroups("f", []byte(raw))
	require.Empty(t, problems)
	require.Equal(t, &Group{
		ID: "g1", Ordinal: 1, Nodes: []string{"node3:2", "node1", "node2:0"},
		Restricted: off(), NoFailback: on(), Comment: "50%3A",
	}, g.ByID["g1"])
	out, err := g.Write()
	require.NoError(t, err)
	require.Equal(t, raw, string(out))
}

func TestGroupsAreEdited(t *testing.T) {
	g, _ := ParseGroups("f", []byte("group: g1\n\tnodes node1\n\ngroup: g2\n\n"))
	_, err := g.Write()
	var broken *cfgparse.BrokenError
	require.ErrorAs(t, err, &broken)
	require.Equal(t, []string{"g2"}, broken.Sections)
	require.EqualError(t, g.Add("g2", map[string]string{"nodes": "node1"}), "ha group ID 'g2' already defined, but failed its checks: remove it first")
	require.True(t, g.Remove("g2"))
	require.NoError(t, g.Add("g2", map[string]string{"nodes": "node2 node1;node2", "restricted": "1"}))
	require.NoError(t, g.Change("g1", Change{Set: map[string]string{"comment": "c"}}))
	require.EqualError(t, g.Change("g1", Change{Delete: []string{"nodes"}}), "unable to delete required option 'nodes'")
	require.EqualError(t, g.Change("g3", Change{}), "no such ha group 'g3'")
	require.EqualError(t, g.Add("g1", nil), "ha group ID 'g1' already defined")
	require.EqualError(t, g.Add("g", nil), "invalid configuration ID 'g'")
	require.EqualError(t, g.Add("g3", nil), "missing value for required option 'nodes'")
	out, err := g.Write()
	require.NoError(t, err)
	require.Equal(t, "group: g1\n\tcomment c\n\tnodes node1\n\ngroup: g2\n\tnodes node2,node1\n\trestricted 1\n\n", string(out))
}

func TestNodeEntriesAreTakenApart(t *testing.T) {
	for entry, want := range map[string]struct {
		node     string
		priority int
	}{
		"node1": {"node1", 0}, "node-1:0": {"node-1", 0}, "1:2": {"1", 2}, "n:007": {"n", 7}, "a\n": {"a", 0},
		"a:99999999999999999999": {"a", math.MaxInt},
	} {
		node, priority, err := ParseNodePriority(entry)
		require.NoError(t, err)
		require.Equal(t, want.node, node)
		require.Equal(t, want.priority, priority)
	}
	for _, entry := range []string{"", ":", ":1", "n:", "-n", "n-", "n:-1", "a:b", "a:1:2", "a_b", "a b", "ü", "a\n\n", "a:1 "} {
		_, _, err := ParseNodePriority(entry)
		require.EqualError(t, err, "unable to parse HA node entry '"+entry+"'")
	}
}

func TestDatacenterSettingsHaveTypes(t *testing.T) {
	f := func(f float64) *float64 { return &f }
	dc, problems := ParseDatacenter("datacenter.cfg", []byte("ha: shutdown_policy=migrate\nfencing: both\nmax_workers: +8\nkeyboard: de\n"+
		"crs: ha=dynamic,ha-rebalance-on-start=0,ha-auto-rebalance=yes,ha-auto-rebalance-threshold=40,ha-auto-rebalance-method=topsis,ha-auto-rebalance-hold-duration=5,ha-auto-rebalance-margin=2.5\n"))
	require.Empty(t, problems)
	require.Equal(t, &Datacenter{
		HA:         HASettings{ShutdownPolicy: ha.PolicyMigrate},
		Fencing:    FencingBoth,
		MaxWorkers: 8,
		CRS: &CRSSettings{
			Mode: SchedulerDynamic, RebalanceOnStart: off(), AutoRebalance: on(), Threshold: f(40),
			Method: BalanceTopsis, HoldDuration: f(5), Margin: f(2.5),
		},
	}, dc)
}

func TestBadDatacenterSettingsAreLeftOut(t *testing.T) {
	dc, problems := ParseDatacenter("datacenter.cfg", []byte("ha: shutdown_policy=never\nfencing: maybe\nmax_workers: 0\ncrs:\nmigration: network=10.0.0.0/24\n"+
		"location: latitude=91,longitude=0\nmac_prefix: 01\nhttp_proxy: x\nemail_from: nobody\n"))
	require.Equal(t, &Datacenter{}, dc)
	require.Equal(t, []string{
		"parse error in 'datacenter.cfg' - 'email_from': invalid format - value does not look like a valid email address\n\n",
		"parse error in 'datacenter.cfg' - 'fencing': value 'maybe' does not have a value in the enumeration 'watchdog, hardware, both'\n",
		"parse error in 'datacenter.cfg' - 'ha': invalid format - format error\nha.shutdown_policy: value 'never' does not have a value in the enumeration 'freeze, failover, conditional, migrate'\n\n",
		"parse error in 'datacenter.cfg' - 'http_proxy': value does not match the regex pattern\n",
		"parse error in 'datacenter.cfg' - 'location': invalid format - format error\nlocation.latitude: value must have a maximum value of 90\n\n",
		"parse error in 'datacenter.cfg' - 'mac_prefix': invalid format - value is not a valid unicast MAC address prefix\n\n",
		"parse error in 'datacenter.cfg' - 'max_workers': value must have a minimum value of 1\n",
		"parse error in 'datacenter.cfg' - 'migration': invalid format - format error\nmigration.type: property is missing and it is not optional\n\n",
		"ignoring empty 'crs:' line in datacenter.cfg\n",
	}, warnings(problems))
}

func TestMigrationSettingHasAForerunner(t *testing.T) {
	dc, problems := ParseDatacenter("f", []byte("migration_unsecure: on\n"))
	require.Empty(t, problems)
	require.Equal(t, &Migration{Type: "insecure"}, dc.Migration)
	dc, problems = ParseDatacenter("f", []byte("migration_unsecure: no\nmigration: insecure,network=fe80::/64\n"))
	require.Equal(t, []string{"deprecated setting 'migration_unsecure' and new 'migration: type' set at same time! Ignore 'migration_unsecure'\n"}, warnings(problems))
	require.Equal(t, &Migration{Type: "insecure", Network: "fe80::/64"}, dc.Migration)
}
