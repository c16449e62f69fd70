package ha

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestManagerStatusIsWrittenInOneForm(t *testing.T) {
	m := &ManagerStatus{
		MasterNode: "node1",
		Timestamp:  1795298787,
		NodeStatus: map[string]NodeState{"node2": NodeFence, "node1": NodeOnline},
		ServiceStatus: map[SID]*ServiceStatus{
			"vm:101": {State: RequestStop, Node: "node2", UID: "u1", Timeout: "0"},
			"vm:100": {
				State: Started, Node: "node1", UID: "u2", Running: true, Target: "node2",
				Cmd: []string{"migrate", "node2"}, FailedNodes: []string{"node3"}, MaintenanceNode: "node3",
				Extra: map[string]json.RawMessage{"a": json.RawMessage("1"), "pin": json.RawMessage("[2]"), "z": json.RawMessage("null")},
			},
		},
		NodeRequest: map[string]NodeRequest{"node1": {Maintenance: true}, "node2": {}},
		Disarm:      &Disarm{Mode: DisarmFreeze, State: Disarming},
		Extra:       map[string]json.RawMessage{"new": json.RawMessage(`{"x":1}`)},
	}
	want := `{"disarm":{"mode":"freeze","state":"disarming"},"master_node":"node1","new":{"x":1},` +
		`"node_request":{"node1":{"maintenance":1},"node2":{}},"node_status":{"node1":"online","node2":"fence"},` +
		`"service_status":{"vm:100":{"a":1,"cmd":["migrate","node2"],"failed_nodes":["node3"],"maintenance_node":"node3",` +
		`"node":"node1","pin":[2],"running":1,"state":"started","target":"node2","uid":"u2","z":null},` +
		`"vm:101":{"node":"node2","state":"request_stop","timeout":"0","uid":"u1"}},"timestamp":1795298787}`
	require.Equal(t, want, string(m.Encode()))

	back, err := ParseManagerStatus("ha/manager_status", m.Encode())
	require.NoError(t, err)
	require.Equal(t, m, back)
}

func TestLRMStatusIsWrittenInOneForm(t *testing.T) {
	l := &LRMStatus{
		State: LRMActive, Mode: ModeRestart, Timestamp: 7,
		Results: map[string]Result{"u": {SID: "vm:100", State: Started, ExitCode: ExitNotRun}},
	}
	want := `{"mode":"restart","results":{"u":{"exit_code":-1,"sid":"vm:100","state":"started"}},"state":"active","timestamp":7}`
	require.Equal(t, want, string(l.Encode()))
	back, err := ParseLRMStatus("nodes/node1/lrm_status", l.Encode())
	require.NoError(t, err)
	require.Equal(t, l, back)
	require.Equal(t, `{"results":{}}`, string((&LRMStatus{}).Encode()))
}

func TestValuesOfAnyShapeAreRead(t *testing.T) {
	data := ` {"timestamp" : "1795298787", "master_node":null, "node_request":{"a":{"maintenance":"1"},"b":{"maintenance":""},"c":null},
		"node_status":{"n1":"online","n2":null},
		"service_status":{"vm:1":{"state":"started","running":true,"timeout":60,"cmd":["stop",0],"target":null,"node":7},
		"vm:2":{"running":"0","failed_nodes":null,"other":{"b":[1, 2.50,"\u00e9\n"],"a":false}},"vm:3":null}} `
	m, err := ParseManagerStatus("f", []byte(data))
	require.NoError(t, err)
	require.Equal(t, &ManagerStatus{
		Timestamp:   1795298787,
		NodeStatus:  map[string]NodeState{"n1": NodeOnline},
		NodeRequest: map[string]NodeRequest{"a": {Maintenance: true}, "b": {}, "c": {}},
		ServiceStatus: map[SID]*ServiceStatus{
			"vm:1": {State: Started, Running: true, Timeout: "60", Cmd: []string{"stop", "0"}, Node: "7"},
			"vm:2": {Extra: map[string]json.RawMessage{"other": json.RawMessage(`{"a":false,"b":[1,2.50,"é\n"]}`)}},
		},
	}, m)

	l, err := ParseLRMStatus("f", []byte(`{"results":{"u":{"exit_code":"2"},"v":{"exit_code":1.0}},"timestamp":3.9}`))
	require.NoError(t, err)
	require.Equal(t, map[string]Result{"u": {ExitCode: ExitTryAgain}, "v": {ExitCode: ExitError}}, l.Results)
	require.Equal(t, Epoch(3), l.Timestamp)
}

func TestUnusableStatusFilesAreErrors(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		want string
	}{
		"truncated":         {`{"master_node":"node1","node_status":{"n`, `at byte 40: expected '"' at the end of a key of node states, found the end of the file`},
		"no value":          {`{"timestamp":`, "at byte 13: expected a time in seconds, found the end of the file"},
		"list":              {`[]`, "at byte 0: expected an object with the manager status, found '['"},
		"foreign":           {`{"mode":"active","state":"active","timestamp":1}`, "at byte 0: expected a manager status, found '{'"},
		"wrong type":        {`{"service_status":[]}`, "at byte 18: expected an object with service states, found '['"},
		"no number":         {`{"timestamp":"soon"}`, "at byte 13: expected a time in seconds, found '\"'"},
		"behind the end":    {`{"node_status":{}}x`, "at byte 18: expected the end of the file, found 'x'"},
		"missing comma":     {`{"a":1 "b":2}`, "at byte 7: expected ',' or '}', found '\"'"},
		"not UTF-8":         {"{\"master_node\":\"\xff\"}", "at byte 16: expected a character in UTF-8, found byte 0xff"},
		"binary":            {"\x00\x01", "at byte 0: expected an object with the manager status, found '\\x00'"},
		"deep":              {`{"x":` + strings.Repeat("[", 600), "at byte 516: expected a value that is not nested that deep, found '['"},
		"bad escape":        {`{"master_node":"\q"}`, "at byte 16: expected an escape sequence, found '\\\\'"},
		"leading zero":      {`{"timestamp":01}`, "at byte 14: expected ',' or '}', found '1'"},
		"newline in string": {"{\"master_node\":\"a\nb\"}", "at byte 17: expected a character of the name of the master node, found '\\n'"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := ParseManagerStatus("ha/manager_status", []byte(c.data))
			require.EqualError(t, err, "cannot read ha/manager_status: "+c.want)
			require.Nil(t, m)
			require.NotErrorIs(t, err, ErrEmptyStatus)
			var status *StatusError
			require.ErrorAs(t, err, &status)
		})
	}
}

func TestEmptyStatusFileIsTold(t *testing.T) {
	_, err := ParseManagerStatus("ha/manager_status", nil)
	require.ErrorIs(t, err, ErrEmptyStatus)
	require.EqualError(t, err, "cannot read ha/manager_status: the file is empty")
	_, err = ParseLRMStatus("nodes/n/lrm_status", []byte{})
	require.ErrorIs(t, err, ErrEmptyStatus)
	m, err := ParseManagerStatus("ha/manager_status", []byte("{}"))
	require.NoError(t, err)
	require.Equal(t, &ManagerStatus{}, m)
}

// Every prefix of a status is an error and none is taken for a status.
func TestEveryTruncationIsAnError(t *testing.T) {
	data := bigStatus(3).Encode()
	for n := range len(data) {
		_, err := ParseManagerStatus("f", data[:n])
		require.Error(t, err, "first %d bytes", n)
		var status *StatusError
		require.True(t, errors.As(err, &status))
		require.LessOrEqual(t, status.Offset, n)
	}
}

func bigStatus(services int) *ManagerStatus {
	m := &ManagerStatus{
		MasterNode: "node1", Timestamp: 1795298787,
		NodeStatus:    map[string]NodeState{},
		ServiceStatus: make(map[SID]*ServiceStatus, services),
	}
	for i := range 32 {
		m.NodeStatus[fmt.Sprintf("node%d", i)] = NodeOnline
	}
	for i := range services {
		m.ServiceStatus[SID(fmt.Sprintf("vm:%d", 100+i))] = &ServiceStatus{
			State: Started, Node: fmt.Sprintf("node%d", i%32), UID: fmt.Sprintf("TY5a/jS341nVx4o%07d", i), Running: true,
		}
	}
	return m
}

func BenchmarkEncode10000Services(b *testing.B) {
	m := bigStatus(10000)
	b.ReportAllocs()
	for b.Loop() {
		m.Encode()
	}
}

func BenchmarkParse10000Services(b *testing.B) {
	data := bigStatus(10000).Encode()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseManagerStatus("f", data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRejectGarbage1MiB(b *testing.B) {
	for name, data := range map[string][]byte{
		"text":     []byte(strings.Repeat("garbage ", 1<<17)),
		"brackets": []byte(strings.Repeat("[", 1<<20)),
		"string":   []byte(`{"` + strings.Repeat("é", 1<<19)),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := ParseManagerStatus("f", data); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}
