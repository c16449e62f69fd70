package playground

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// live are the files of a cluster in which node pve3 is lost.
func live() Files {
	return Files{
		"etc/pve/ha/resources.cfg": []byte("vm: 100\n\tstate started\n\nct: 200\n\tmax_restart 3\n\tgroup old\n\nvm: 300\n\tstate stopped\n\n"),
		"etc/pve/ha/manager_status": []byte(`{"master_node":"pve1","timestamp":1700000000,` +
			`"node_status":{"pve1":"online","pve2":"maintenance","pve3":"unknown","pve9":"gone"},"node_request":{"pve2":{"maintenance":1}},` +
			`"service_status":{"vm:100":{"state":"started","node":"pve1","uid":"a","running":1},"ct:200":{"state":"started","node":"pve3","uid":"b"}}}`),
		"etc/pve/ha/rules.cfg":                    []byte("node-affinity: home\n\tnodes pve1:2,pve2\n\tresources vm:100\n\n"),
		"etc/pve/ha/groups.cfg":                   []byte("group: old\n\tnodes pve1\n\n"),
		"etc/pve/datacenter.cfg":                  []byte("crs: ha=static,ha-rebalance-on-start=1\nha: shutdown_policy=migrate\nkeyboard: de\n"),
		"etc/pve/nodes/pve2/lrm_status":           []byte(`{"state":"active","mode":"maintenance","timestamp":1,"results":{}}`),
		"etc/pve/nodes/pve2/qemu-server/300.conf": []byte("cores: 8\nsockets: 2\nmemory: 4096\nname: web\n[old]\ncores: 1\n"),
		"etc/pve/storage.cfg":                     []byte("dir: local\n"),
	}
}

func TestImport(t *testing.T) {
	files, notes, err := Import(live())
	require.NoError(t, err)
	require.Equal(t, []string{
		"the LRM of pve2 was in mode 'maintenance'; here it starts anew",
		"etc/pve/storage.cfg is not a file of HA and was left out",
		"pve3 was in state 'unknown': it stays off",
	}, notes)
	require.NotContains(t, string(files[fileHardware]), "pve9")

	l := openLab(t, t.TempDir())
	require.NoError(t, l.Begin(files))
	require.NoError(t, l.Step(12))
	h := l.play.history.now
	require.Len(t, h.nodes, 3)
	require.Equal(t, "maintenance", string(h.nodes["pve2"].State))
	require.True(t, h.nodes["pve2"].Maintenance)
	require.Equal(t, []string{"pve1"}, h.guests["vm:100"].Runs)
	require.Equal(t, 16.0, h.guests["vm:300"].MaxCPU)
	require.Equal(t, 3, h.guests["ct:200"].MaxRestart)
	require.Equal(t, "migrate", string(h.last.State.Settings.ShutdownPolicy))
	require.Equal(t, "static", string(h.last.State.Settings.Scheduling.Mode))
	require.Equal(t, 4, h.last.State.Settings.MaxWorkers)
	require.NoError(t, l.Step(20))
	require.Equal(t, "pve1", h.guests["ct:200"].Node, "recovered from the lost node")
	l.checkRecording()
}

func TestImportGuessesAndSaysSo(t *testing.T) {
	_, notes, err := Import(Files{
		"resources.cfg":   []byte("vm: 100\n\nvm: x\n\n"),
		"lrm_status_pve1": []byte(`{"state":"active","mode":"active"}`),
		".members":        []byte(`{"nodelist": {"pve1": {"id": 1}, "pve2": {"id": 2}}}`),
	})
	require.NoError(t, err)
	require.Contains(t, notes[0], "resources.cfg")
	require.Contains(t, notes, "where vm:100 is was not given: it is put on pve1")
}

func TestImportRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(Files)
		want   string
	}{
		"no resources":       {func(f Files) { delete(f, "etc/pve/ha/resources.cfg") }, "resources.cfg is missing"},
		"a broken status":    {func(f Files) { f["etc/pve/ha/manager_status"] = []byte("{") }, "manager_status"},
		"an LRM of no node":  {func(f Files) { f["lrm_status"] = []byte("{}") }, "lrm_status: of which node?"},
		"a broken LRM":       {func(f Files) { f["lrm_status_pve1"] = []byte("[]") }, "lrm_status_pve1"},
		"members of nowhere": {func(f Files) { f[".members"] = []byte("x") }, ".members: invalid character"},
	} {
		t.Run(name, func(t *testing.T) {
			files := live()
			test.change(files)
			_, _, err := Import(files)
			require.ErrorContains(t, err, test.want)
		})
	}
	_, _, err := Import(Files{"resources.cfg": []byte("vm: 100\n")})
	require.ErrorContains(t, err, "no node is known")
}
