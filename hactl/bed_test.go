package hactl

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// testTime is when things happen, unless a test says otherwise.
var testTime = time.Unix(1_795_296_549, 0).UTC()

// lab is a cluster of three nodes with some guests.
func lab() *Memory {
	return &Memory{
		Time: testTime, NodeName: "node1", HasQuorum: true,
		NodeNames: []string{"node1", "node2", "node3"},
		GuestList: map[string]Guest{
			"100": {Node: "node1", Type: "qemu"}, "101": {Node: "node2", Type: "qemu"},
			"102": {Node: "node3", Type: "qemu"}, "200": {Node: "node3", Type: "lxc"},
		},
		Files: map[string]string{
			"ha/resources.cfg":  "vm: 100\n\nvm: 101\n\nct: 200\n\n",
			"ha/manager_status": managerJSON(testTime, `"vm:100":{"node":"node1","state":"started","running":1,"uid":"a"}`),
		},
	}
}

func managerJSON(written time.Time, services string) string {
	return fmt.Sprintf(`{"master_node":"node1","timestamp":%d,"node_status":{"node1":"online","node2":"online","node3":"online"},"service_status":{%s}}`,
		written.Unix(), services)
}

// answer is what a call of the command came to.
type answer struct {
	stdout, stderr string
	exit           int
}

func (m *Memory) call(args ...string) answer { return m.callIn(context.Background(), Stdio{}, args...) }

// callIn makes a call from somewhere.
func (m *Memory) callIn(ctx context.Context, stdio Stdio, args ...string) answer {
	var stdout, stderr bytes.Buffer
	if stdio.Out == nil {
		stdio.Out = &stdout
	}
	stdio.Err = &stderr
	exit := Run(ctx, m.Env(), stdio, args)
	return answer{stdout.String(), stderr.String(), exit}
}

// noWriter fails the test when a command changes anything.
type noWriter struct{ t *testing.T }

func (w noWriter) MakeFolder(context.Context, string) error {
	w.t.Error("a folder was made")
	return nil
}

func (w noWriter) Write(_ context.Context, name string, _ []byte) error {
	w.t.Errorf("%s was written", name)
	return nil
}

func (w noWriter) Locked(context.Context, func(string), func(context.Context) error) error {
	w.t.Error("a lock was taken")
	return nil
}

func TestReadersChangeNothing(t *testing.T) {
	for i := range commands() {
		c := &commands()[i]
		if c.read == nil {
			continue
		}
		m := lab()
		before := maps.Clone(m.Files)
		env := m.Env()
		env.Editor = noWriter{t}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		args := append([]string(nil), strings.Fields(c.words)...)
		for range c.args {
			args = append(args, "vm:100")
		}
		Run(ctx, env, Stdio{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}, args)
		require.Equal(t, before, m.Files, c.words)
	}
}
