package hactl

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// complete asks for what can stand at the end of a line.
func (m *Memory) complete(line string) []string {
	words := strings.Split(line, " ")
	current, previous := words[len(words)-1], ""
	if len(words) > 1 {
		previous = words[len(words)-2]
	}
	var out strings.Builder
	m.callIn(context.Background(), Stdio{Out: &out, Getenv: func(name string) string {
		return map[string]string{"COMP_LINE": line, "COMP_POINT": fmt.Sprint(len(line))}[name]
	}}, "bashcomplete", "ha-manager", current, previous)
	return strings.Fields(out.String())
}

func TestCompletion(t *testing.T) {
	m := lab()
	m.Files["ha/rules.cfg"] = "node-affinity: r1\n\tnodes node1\n\tresources vm:100\n\n"
	m.Files["ha/groups.cfg"] = "group: g1\n\tnodes node1\n\n"
	for line, want := range map[string]string{
		"ha-manager ":       "add config crm-command explain groupadd groupconfig groupremove groupset help lint remove rules set simulate status",
		"ha-manager s":      "set simulate status",
		"ha-manager rules ": "add config list remove set",
		"ha-manager crm-command node-maintenance ":                "disable enable",
		"ha-manager set ":                                         "ct:200 vm:100 vm:101",
		"ha-manager set vm":                                       "vm:100 vm:101",
		"ha-manager add ":                                         "vm:102",
		"ha-manager migrate vm:100 ":                              "node2 node3",
		"ha-manager crm-command relocate vm:100 n":                "node2 node3",
		"ha-manager crm-command node-maintenance enable ":         "node1 node2 node3",
		"ha-manager set vm:100 --st":                              "--state",
		"ha-manager set vm:100 --state ":                          "disabled enabled ignored started stopped",
		"ha-manager set vm:100 --failback ":                       "0 1",
		"ha-manager set vm:100 --group ":                          "g1",
		"ha-manager rules add ":                                   "node-affinity resource-affinity",
		"ha-manager rules set node-affinity ":                     "r1",
		"ha-manager rules add node-affinity x --r":                "--resources",
		"ha-manager rules list --output-format j":                 "json json-pretty",
		"ha-manager status --":                                    "--json --verbose --watch",
		"ha-manager help ":                                        "add config crm-command explain groupadd groupconfig groupremove groupset help lint remove rules set simulate status",
		"ha-manager nosuch ":                                      "",
		"ha-manager status --json --nosuch ":                      "--json --verbose --watch",
		"ha-manager crm-command disarm-ha ":                       "freeze ignore",
		"ha-manager 'unclosed":                                    "",
		"ha-manager simulate --fail ":                             "node1 node2 node3",
		"ha-manager crm-command migrate vm:100 node2 --wait --ti": "--timeout",
	} {
		require.Equal(t, strings.Fields(want), append([]string{}, m.complete(line)...), line)
	}

	var out strings.Builder
	m.callIn(context.Background(), Stdio{Out: &out}, "bashcomplete", "ha-manager", "s", "ha-manager")
	m.callIn(context.Background(), Stdio{Out: &out}, "bashcomplete")
	require.Empty(t, out.String(), "not asked by a shell")

	m.Files["ha/resources.cfg"] = "vm: abc\n\nvm: 100\n\n"
	a := m.callIn(context.Background(), Stdio{Getenv: func(name string) string {
		return map[string]string{"COMP_LINE": "ha-manager set ", "COMP_POINT": "15"}[name]
	}}, "bashcomplete", "ha-manager", "", "set")
	require.Equal(t, answer{stdout: "vm:100\n"}, a, "warnings would tear the line")
}

// shellCommand is a ha-manager in a folder that proposes fixed words, and says
// what it was asked.
func shellCommand(t *testing.T) (path, asked string) {
	dir := t.TempDir()
	asked = filepath.Join(dir, "asked")
	script := `#!/bin/sh
printf '%s|%s|%s|%s|%s\n' "$1" "$3" "$4" "$COMP_LINE" "$COMP_POINT" >>'` + asked + `'
case $COMP_LINE in
*stat*) echo status ;;
*set\ vm:1*) echo vm:100 ;;
esac
`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ha-manager"), []byte(script), 0o755))
	return dir + ":" + os.Getenv("PATH"), asked
}

// needTool skips where a program is missing, but never in continuous
// integration.
func needTool(t *testing.T, name string) {
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

func TestBashAsksTheCommand(t *testing.T) {
	needTool(t, "bash")
	path, asked := shellCommand(t)
	file := filepath.Join(t.TempDir(), "ha-manager.bash")
	require.NoError(t, os.WriteFile(file, []byte(BashCompletion()), 0o600))
	// Two tabs in an interactive shell, as a person presses them.
	cmd := exec.Command("bash", "--norc", "--noprofile", "-i")
	cmd.Env = []string{"PATH=" + path, "TERM=dumb", "HOME=/nonexistent", "INPUTRC=/dev/null"}
	cmd.Stdin = strings.NewReader(". " + file + "\nha-manager stat\t\nha-manager set vm:1\t\nexit\n")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	questions, err := os.ReadFile(asked)
	require.NoError(t, err, string(out))
	require.Contains(t, string(questions), "bashcomplete|stat|ha-manager|ha-manager stat|15\n")
	require.Contains(t, string(questions), "bashcomplete|vm:1|set|ha-manager set vm:1|19\n", "the colon does not break the word")
	require.Contains(t, string(questions), "\nstatus||||\n", "the word was completed")
	require.Contains(t, string(questions), "\nset|||", "the word was completed")
}

func TestZshAsksTheCommand(t *testing.T) {
	needTool(t, "zsh")
	path, asked := shellCommand(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "_ha-manager"), []byte(ZshCompletion()), 0o600))
	// What compsys does, without a terminal: the words and the place in them
	// are set, and compadd gets the proposals.
	script := `
compadd() { shift; print -l -- ${(P)1}; }
fpath=('` + dir + `' $fpath)
autoload -U _ha-manager
words=(ha-manager set vm:1); CURRENT=3
_ha-manager
`
	cmd := exec.Command("zsh", "-f", "-c", script)
	cmd.Env = []string{"PATH=" + path}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "vm:100\n", string(out))
	questions, err := os.ReadFile(asked)
	require.NoError(t, err)
	require.Equal(t, "bashcomplete|vm:1|set|ha-manager set vm:1|19\n", string(questions))
}

func TestManPage(t *testing.T) {
	page := ManPage()
	for i := range commands() {
		c := &commands()[i]
		require.Contains(t, page, "\n.SS \"ha\\-manager "+roff(c.words), c.words)
		for _, name := range c.optionNames() {
			if !c.isArg(name) {
				require.Contains(t, page, `\-\-`+roff(name), "%s --%s", c.words, name)
			}
		}
	}
	require.Contains(t, page, "(not in the Perl command)")
	require.NotContains(t, page, "\n\n", "an empty line is no request")
	for n, line := range strings.Split(page, "\n") {
		require.False(t, strings.HasPrefix(line, "'"), "line %d would be read as a request", n+1)
		if strings.HasPrefix(line, ".") {
			require.Regexp(t, `^\.(TH|SH|SS|TP|PP|B|BR|BI|I|RI)( |$)`, line, "line %d", n+1)
			require.Zero(t, strings.Count(line, `"`)%2, "line %d has a quote that is not closed", n+1)
		}
	}
}

func TestManPageRendersWithoutWarnings(t *testing.T) {
	needTool(t, "groff")
	cmd := exec.Command("groff", "-man", "-Tutf8", "-ww", "-P-cbou")
	cmd.Stdin = strings.NewReader(ManPage())
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	require.NoError(t, cmd.Run(), problems.String())
	require.Empty(t, problems.String())
	require.Contains(t, out.String(), "ha-manager crm-command node-maintenance enable <node> [OPTIONS]")
	require.Contains(t, out.String(), "--max_restart <integer> (0 - N)")
}
