package agent

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// killer ends servers and what they forked, whatever they do just then.
type killer struct {
	program []string
	socket  string
	over    chan struct{}
	kills   int
}

func (k *killer) run() error {
	for {
		server := exec.Command(k.program[0], slices.Concat(k.program[1:], []string{"serve", k.socket})...)
		server.Env = environment()
		if err := server.Start(); err != nil {
			return err
		}
		for range 8 {
			select {
			case <-k.over:
				_ = server.Process.Kill()
				_ = server.Wait()
				return nil
			case <-time.After(time.Duration(1+rand.N(20)) * time.Millisecond):
			}
			k.killOne(server.Process.Pid)
		}
		_ = server.Process.Kill()
		_ = server.Wait()
	}
}

// killOne ends something that the server has forked.
func (k *killer) killOne(server int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", server, server))
	if children := strings.Fields(string(text)); len(children) > 0 {
		if pid, err := strconv.Atoi(children[rand.N(len(children))]); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			k.kills++
		}
	}
}

// Whatever dies, and in whatever moment: no action is done twice, and one that
// was successful was done.
func TestNoActionIsDoneTwice(t *testing.T) {
	a := newAPI(t, executing, nil)
	a.agent.cfg.ForkServer = socketName(t)
	k := &killer{program: a.program, socket: a.agent.cfg.ForkServer, over: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- k.run() }()

	const callers, actions = 4, 40
	results := make([]error, callers*actions)
	var all sync.WaitGroup
	for n := range callers {
		all.Go(func() {
			for i := n; i < len(results); i += callers {
				results[i] = a.agent.Start(ha.SID(fmt.Sprintf("vm:%d", 1000+i)))
			}
		})
	}
	all.Wait()
	close(k.over)
	require.NoError(t, <-ended)

	done := map[string]int{}
	for _, call := range a.calls(t) {
		done[call]++
	}
	died := 0
	for i, err := range results {
		call := fmt.Sprintf("Qemu vm_start node=node1 vmid=%d", 1000+i)
		if err != nil {
			require.EqualError(t, err, fmt.Sprintf("perl start vm:%d: died", 1000+i))
			require.LessOrEqual(t, done[call], 1, call)
			died++
			continue
		}
		require.Equal(t, 1, done[call], call)
	}
	t.Logf("%d actions, %d without a result, %d processes killed", len(results), died, k.kills)
}
