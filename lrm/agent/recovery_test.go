package agent

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

var removable = []string{"backup", "mounted", "migrate", "clone", "rollback", "snapshot", "snapshot-delete", "suspending", "suspended"}

func TestRemoveLocksCutsOneLine(t *testing.T) {
	for name, c := range map[string]struct {
		sid           ha.SID
		before, after string
		lock          string
	}{
		"the only line":        {"vm:100", "lock: backup\n", "", "backup"},
		"among others":         {"vm:100", "cores: 2\nlock: migrate\nmemory: 512\n", "cores: 2\nmemory: 512\n", "migrate"},
		"without a last break": {"vm:100", "cores: 2\nlock: migrate", "cores: 2\n", "migrate"},
		"with a dash":          {"ct:200", "arch: amd64\nlock: snapshot-delete\n", "arch: amd64\n", "snapshot-delete"},
		"no white space":       {"vm:100", "lock:backup\ncores: 2\n", "cores: 2\n", "backup"},
		"white space behind":   {"vm:100", "lock: backup \t\r\ncores: 2\n", "cores: 2\n", "backup"},
		"only of a container":  {"ct:200", "lock: mounted\nhostname: a\n", "hostname: a\n", "mounted"},
		"twice: the last":      {"vm:100", "lock: create\nlock: backup\ncores: 2\n", "cores: 2\n", "backup"},
		"comments stay": {
			"vm:100",
			"#lock%3A backup\n# lock: backup\ncores: 2\nlock: backup\n",
			"#lock%3A backup\n# lock: backup\ncores: 2\n", "backup",
		},
		"bytes of any kind stay": {
			"vm:100", "#\xff\xfe \xc3\xa4\nlock: clone\nname: x\n\n\n", "#\xff\xfe \xc3\xa4\nname: x\n\n\n", "clone",
		},
		"sections stay": {
			"vm:100",
			"cores: 2\nlock: snapshot\nparent: a\n\n[PENDING]\nmemory: 1\n\n[a]\nlock: backup\nsnaptime: 1\n",
			"cores: 2\nparent: a\n\n[PENDING]\nmemory: 1\n\n[a]\nlock: backup\nsnaptime: 1\n", "snapshot",
		},
		"sections of a container stay": {
			"ct:200",
			"lock: rollback\nlxc.cap.drop: x\n\n[pve:pending]\nlock: backup\n\n[a1]\nlock: backup\n",
			"lxc.cap.drop: x\n\n[pve:pending]\nlock: backup\n\n[a1]\nlock: backup\n", "rollback",
		},
		"behind what is no section of a container": {
			"ct:200", "hostname: a\n[1]\nlock: migrate\n", "hostname: a\n[1]\n", "migrate",
		},
		"a lock that stays":               {"vm:100", "lock: create\ncores: 2\n", "", ""},
		"no lock":                         {"vm:100", "cores: 2\n", "", ""},
		"only in a snapshot":              {"vm:100", "cores: 2\n\n[a]\nlock: backup\n", "", ""},
		"only behind an unknown section":  {"vm:100", "cores: 2\n[1]\nlock: backup\n", "", ""},
		"only in a special section":       {"vm:100", "[special:fleecing]\nlock: backup\n", "", ""},
		"only in pending of a container":  {"ct:200", "[PVE:Pending] \nlock: backup\n", "", ""},
		"not at the beginning of a line":  {"vm:100", " lock: backup\n", "", ""},
		"another key":                     {"vm:100", "lockx: backup\nclock: backup\n", "", ""},
		"empty":                           {"vm:100", "", "", ""},
		"a value that begins like a lock": {"vm:100", "lock: backup me\n", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := ConfigName(c.sid, "node2")
			require.NoError(t, err)
			files := &memory{files: map[string]string{file: c.before}}
			lock, err := Recovery{files}.RemoveLocks(context.Background(), c.sid, removable, "node2")
			require.NoError(t, err)
			require.Equal(t, c.lock, lock)
			if c.lock == "" {
				require.Zero(t, files.writes, "nothing to change")
				c.after = c.before
			}
			require.Equal(t, c.after, files.files[file])
		})
	}
}

func TestRemoveLocksFails(t *testing.T) {
	ctx := context.Background()
	files := &memory{files: map[string]string{}}
	_, err := Recovery{files}.RemoveLocks(ctx, "vm:100", removable, "node2")
	require.EqualError(t, err, "Configuration file 'nodes/node2/qemu-server/100.conf' does not exist")
	_, err = Recovery{files}.RemoveLocks(ctx, "fa:100", removable, "node2")
	require.EqualError(t, err, "unknown resource type 'fa'")
	files.broken = syscall.ENOTCONN
	_, err = Recovery{files}.RemoveLocks(ctx, "ct:100", removable, "node2")
	require.ErrorIs(t, err, syscall.ENOTCONN)
}

func TestSteal(t *testing.T) {
	const (
		source = "nodes/node2/lxc/200.conf"
		target = "nodes/node3/lxc/200.conf"
		text   = "rename '/etc/pve/" + source + "' to '/etc/pve/" + target + "' failed - "
	)
	for name, c := range map[string]struct {
		files  map[string]string
		to     string
		broken error
		want   map[string]string
		fail   string
	}{
		"moves":                 {files: map[string]string{source: "a"}, to: "node3", want: map[string]string{target: "a"}},
		"to where it is":        {files: map[string]string{source: "a"}, to: "node2", want: map[string]string{source: "a"}},
		"nothing there":         {files: map[string]string{}, to: "node3", want: map[string]string{}, fail: text + "No such file or directory"},
		"moved before":          {files: map[string]string{target: "a"}, to: "node3", want: map[string]string{target: "a"}, fail: text + "No such file or directory"},
		"another in the place":  {files: map[string]string{source: "a", target: "b"}, to: "node3", want: map[string]string{source: "a", target: "b"}, fail: text + "File exists"},
		"no quorum":             {files: map[string]string{source: "a"}, to: "node3", want: map[string]string{source: "a"}, broken: fmt.Errorf("x: %w", syscall.EACCES), fail: text + "Permission denied"},
		"without any errno":     {files: map[string]string{source: "a"}, to: "node3", want: map[string]string{source: "a"}, broken: fmt.Errorf("out of reach"), fail: text + "out of reach"},
		"from where it is gone": {files: map[string]string{}, to: "node2", want: map[string]string{}, fail: "rename '/etc/pve/" + source + "' to '/etc/pve/" + source + "' failed - No such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			files := &memory{files: c.files, broken: c.broken}
			err := Recovery{files}.Steal(context.Background(), "ct:200", "node2", c.to)
			if c.fail == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, c.fail)
				if c.broken != nil {
					require.ErrorIs(t, err, c.broken)
				}
			}
			require.Equal(t, c.want, files.files)
		})
	}
}
