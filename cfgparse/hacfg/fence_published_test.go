package hacfg

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/golden"
)

// The published expectations give, for three nodes and one try after the
// other, the agent calls that fence a node.
func TestPublishedFenceConfigs(t *testing.T) {
	configs, err := filepath.Glob(filepath.Join(golden.Shared(t, "golden", "upstream", "fence_cfgs"), "*.cfg"))
	require.NoError(t, err)
	require.NotEmpty(t, configs)
	for _, path := range configs {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			want, err := os.ReadFile(path + ".expect")
			require.NoError(t, err)
			golden.Equal(t, name, want, []byte(fenceCalls(t, "fence_cfgs/"+name, raw)))
		})
	}
}

func fenceCalls(t *testing.T, file string, raw []byte) string {
	fence, _, err := ParseFence(file, raw)
	if err != nil {
		return fmt.Sprintf("[FenceConfig] %v\n", err)
	}
	var out strings.Builder
	for try := 0; ; try++ {
		fmt.Fprintf(&out, "[try] %d\n", try)
		none := true
		for _, node := range []string{"node1", "node2", "node3"} {
			calls := fence.Commands(node, try)
			if calls == nil {
				fmt.Fprintf(&out, "[%s-cmd] none\n", node)
				continue
			}
			none = false
			slices.SortFunc(calls, func(a, b FenceCommand) int { return partNumber(t, a) - partNumber(t, b) })
			for _, call := range calls {
				line, err := call.Line()
				require.NoError(t, err)
				fmt.Fprintf(&out, "[%s-cmd] %s\n", node, line)
			}
		}
		if none {
			return out.String()
		}
	}
}

func partNumber(t *testing.T, c FenceCommand) int {
	n, err := strconv.Atoi(c.Part)
	require.NoError(t, err)
	return n
}
