package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/corpus"
)

// testdata holds what was recorded from the Perl stack.
const testdata = "../../testdata"

// invoke runs the command and returns what it did.
func invoke(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, &out, &errs)
	return status, out.String(), errs.String()
}

// write writes a file of a scenario folder and returns the folder.
func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return dir
}

// recorded returns the first of the recorded scenarios.
func recorded(t *testing.T) corpus.Case {
	t.Helper()
	all, err := os.ReadDir(filepath.Join(testdata, "replay"))
	require.NoError(t, err)
	c, err := corpus.Load(filepath.Join(testdata, "replay", all[0].Name()))
	require.NoError(t, err)
	return c
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"--help"}, {"help"}, {"demo", "-h"}, {"demo", "--help"}} {
		status, stdout, stderr := invoke(args...)
		require.Equal(t, exitOK, status, args)
		require.Equal(t, usage, stdout, args)
		require.Empty(t, stderr, args)
	}
	status, stdout, stderr := invoke()
	require.Equal(t, exitUsage, status)
	require.Equal(t, usage, stderr)
	require.Empty(t, stdout)
}

// Whatever is wrong with arguments or a scenario is said in one line.
func TestMisuse(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/bad-json", map[string]string{"cmdlist": "[\n  [\"power node1 on\"\n]"})
	write(t, dir+"/bad-word", map[string]string{"cmdlist": `[["power node1 up"]]`})
	write(t, dir+"/no-list", map[string]string{"hardware_status": "{}"})
	var nodes []string
	for i := range 30 {
		nodes = append(nodes, fmt.Sprintf(`"n%d": {"power": "off", "network": "off"}`, i))
	}
	write(t, dir+"/too-big", map[string]string{
		"cmdlist": "[]", "service_config": "{}", "hardware_status": "{" + strings.Join(nodes, ",") + "}",
	})
	const help = " (see pve-ha-tester --help)"
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"unknown option":          {[]string{"--fast"}, "unknown option --fast" + help},
		"option and scenario":     {[]string{"-v", "x"}, "unknown option -v" + help},
		"two scenarios":           {[]string{"a", "b"}, "one scenario is played at a time, not 2" + help},
		"nothing for a name":      {[]string{""}, "cannot load scenario: stat : no such file or directory"},
		"no such scenario":        {[]string{dir + "/gone"}, "cannot load scenario: stat DIR/gone: no such file or directory"},
		"no scenario in it":       {[]string{dir + "/no-list"}, "cannot load scenario: DIR/no-list holds no file cmdlist"},
		"scenario is not JSON":    {[]string{dir + "/bad-json"}, "DIR/bad-json: cmdlist:3:1: unexpected end of JSON input"},
		"scenario has a bad word": {[]string{dir + "/bad-word"}, `DIR/bad-word: cmdlist: step 1: command "power node1 up": state is "up", want on, off`},
		"scenario is too big":     {[]string{dir + "/too-big"}, "DIR/too-big: unable to simulate 30 nodes: a round of all would take longer than watchdogs and locks allow (at most 29)"},

		"check what":       {[]string{"check"}, "check wants to know what to check, scenarios, formats or cli, and where it is" + help},
		"check where":      {[]string{"check", "scenarios"}, "check wants to know what to check, scenarios, formats or cli, and where it is" + help},
		"check the engine": {[]string{"check", "oil", "x"}, `cannot check "oil", only scenarios, formats and cli` + help},

		"demo: seed is no number":       {[]string{"demo", "--seed", "x"}, `demo: invalid value "x" for flag -seed: parse error` + help},
		"demo: negative seed":           {[]string{"demo", "--seed", "-1"}, `demo: invalid value "-1" for flag -seed: parse error` + help},
		"demo: no seed":                 {[]string{"demo", "--seed"}, "demo: flag needs an argument: -seed" + help},
		"demo: unknown option":          {[]string{"demo", "--loud"}, "demo: flag provided but not defined: -loud" + help},
		"demo: two scenarios":           {[]string{"demo", "a", "b"}, "demo shows one scenario, not 2" + help},
		"demo: seed and scenario":       {[]string{"demo", "--seed", "1", "a"}, "demo: a seed makes up a story, a scenario is one already" + help},
		"demo: no such scenario":        {[]string{"demo", dir + "/gone"}, "cannot load scenario: stat DIR/gone: no such file or directory"},
		"demo: scenario has a bad word": {[]string{"demo", dir + "/bad-word"}, `DIR/bad-word: cmdlist: step 1: command "power node1 up": state is "up", want on, off`},
		"demo: scenario is too big":     {[]string{"demo", dir + "/too-big"}, "DIR/too-big: unable to simulate 30 nodes: a round of all would take longer than watchdogs and locks allow (at most 29)"},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := invoke(test.args...)
			require.Equal(t, exitUsage, status)
			require.Empty(t, stdout)
			require.Equal(t, "pve-ha-tester: "+strings.ReplaceAll(test.want, "DIR", dir)+"\n", stderr)
		})
	}
}

func TestPlay(t *testing.T) {
	c := recorded(t)
	status, stdout, stderr := invoke(c.Path)
	require.Equal(t, exitOK, status)
	require.Empty(t, stderr)
	require.Equal(t, string(c.Files["log.expect"]), stdout)
}

func TestPlaySimulationThatFails(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"cmdlist": `[["service vm:101 manual-migrate node2"]]`})
	status, stdout, stderr := invoke(dir)
	require.Equal(t, exitFailed, status)
	require.Empty(t, stderr, "the log tells it")
	require.Contains(t, stdout, "err      20     hardware: exit simulation - manual-migrate requires service in 'ignored' state")
}

// fullDisk is an output that takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestPlayOutputThatCannotBeWritten(t *testing.T) {
	var stderr bytes.Buffer
	require.Equal(t, exitFailed, run([]string{recorded(t).Path}, fullDisk{}, &stderr))
	require.Equal(t, "pve-ha-tester: cannot write the log: no space left on device\n", stderr.String())
}

func TestCheckScenarios(t *testing.T) {
	dir := t.TempDir()
	good := recorded(t)
	files := map[string]string{}
	for name, data := range good.Files {
		files[name] = string(data)
	}
	write(t, dir+"/good", files)
	files["log.expect"] = strings.Replace(files["log.expect"], "status change startup", "status change set-up", 1)
	write(t, dir+"/mixed/wrong", files)
	delete(files, "log.expect")
	write(t, dir+"/mixed/unrecorded", files)
	files["cmdlist"] = "[["
	files["log.expect"] = ""
	write(t, dir+"/mixed/unreadable", files)
	require.NoError(t, os.Mkdir(dir+"/empty", 0o755))

	for name, test := range map[string]struct {
		paths  []string
		status int
		stdout []string // in this order
		stderr string
	}{
		"all agree":      {[]string{"DIR/good"}, exitOK, []string{"1 passed, 0 failed\n"}, ""},
		"several places": {[]string{"DIR/good", good.Path}, exitOK, []string{"2 passed, 0 failed\n"}, ""},
		"some differ": {[]string{"DIR/good", "DIR/mixed"}, exitFailed, []string{
			"DIR/mixed/unreadable: cmdlist:1:2: unexpected end of JSON input\n",
			"DIR/mixed/unrecorded: no log.expect to compare with\n",
			"--- DIR/mixed/wrong/log.expect\n+++ DIR/mixed/wrong/log\n@@ -",
			"status change set-up => ", "+info ", "status change startup => ",
			"1 passed, 3 failed\n",
		}, ""},
		"none found":    {[]string{"DIR/empty"}, exitFailed, []string{"0 passed, 1 failed\n"}, "pve-ha-tester: no scenario in DIR/empty: neither a folder with a file cmdlist nor a .txtar archive\n"},
		"no such place": {[]string{"DIR/gone"}, exitFailed, []string{"0 passed, 1 failed\n"}, "pve-ha-tester: cannot look for scenarios: stat DIR/gone: no such file or directory\n"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"check", "scenarios"}
			for _, p := range test.paths {
				args = append(args, strings.ReplaceAll(p, "DIR", dir))
			}
			status, stdout, stderr := invoke(args...)
			require.Equal(t, test.status, status)
			require.Equal(t, strings.ReplaceAll(test.stderr, "DIR", dir), stderr)
			requireInOrder(t, stdout, dir, test.stdout)
			require.True(t, strings.HasSuffix(stdout, test.stdout[len(test.stdout)-1]), stdout)
		})
	}
}

func requireInOrder(t *testing.T, text, dir string, parts []string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		_, after, found := strings.Cut(rest, strings.ReplaceAll(part, "DIR", dir))
		require.True(t, found, "%q is not in the output, or not in this order:\n%s", part, text)
		rest = after
	}
}

func TestCheckFormats(t *testing.T) {
	vectors := filepath.Join(testdata, "formats", "vectors.jsonl")
	status, stdout, stderr := invoke("check", "formats", vectors)
	require.Equal(t, exitOK, status, stdout)
	require.Regexp(t, `^[0-9]+ passed, 0 failed\n$`, stdout)
	require.Empty(t, stderr)

	dir := write(t, t.TempDir(), map[string]string{
		"wrong.jsonl": `{"id":"one","kind":"groups","input":"group: ab\n\tnodes a\n","written":"nothing"}`,
		"empty.jsonl": "",
	})
	status, stdout, _ = invoke("check", "formats", vectors, dir+"/wrong.jsonl")
	require.Equal(t, exitFailed, status)
	require.Contains(t, stdout, "one: differs\n    written: want")
	require.Regexp(t, `passed, 1 failed\n$`, stdout)

	status, stdout, stderr = invoke("check", "formats", dir+"/empty.jsonl")
	require.Equal(t, exitFailed, status)
	require.Equal(t, "0 passed, 1 failed\n", stdout)
	require.Contains(t, stderr, "empty.jsonl")
	require.Equal(t, 1, strings.Count(stderr, "\n"))

	status, _, stderr = invoke("check", "formats", dir+"/gone.jsonl")
	require.Equal(t, exitFailed, status)
	require.Equal(t, "pve-ha-tester: open "+dir+"/gone.jsonl: no such file or directory\n", stderr)
}

// Every story is told to its good end.
func TestDemoOfEverySeed(t *testing.T) {
	for seed := range 201 {
		status, stdout, stderr := invoke("demo", "--seed", strconv.Itoa(seed))
		require.Equal(t, exitOK, status, "seed %d: %s", seed, stderr)
		require.Empty(t, stderr)
		for _, what := range []string{"cut off", "detected:", "reset by", "fenced:", "recovered:", "returned"} {
			require.Contains(t, stdout, what, "seed %d", seed)
		}
		_, table, found := strings.Cut(stdout, "guest    wanted")
		require.True(t, found)
		lines := strings.Split(table, "\n")[1:7]
		for _, line := range lines {
			f := strings.Fields(line)
			require.Len(t, f, 5, "seed %d: %s", seed, line)
			require.Equal(t, []string{"started", "started", f[4]}, f[1:4], "seed %d: %s", seed, line)
		}
	}
}

func TestDemoWithoutSeedIsTheFirstStory(t *testing.T) {
	_, first, _ := invoke("demo", "--seed", "1")
	_, without, _ := invoke("demo")
	require.Equal(t, first, without)
	_, second, _ := invoke("demo", "--seed=2")
	require.NotEqual(t, first, second)
}

func TestDemoOfAScenario(t *testing.T) {
	path := recorded(t).Path
	status, stdout, stderr := invoke("demo", path)
	require.Equal(t, exitOK, status)
	require.Empty(t, stderr)
	require.True(t, strings.HasPrefix(stdout, path+"\n"), "it says which")
	require.Contains(t, stdout, "node     power")
}

func TestDemoOfASimulationThatFails(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"cmdlist": `[["service vm:101 manual-migrate node2"]]`})
	status, _, stderr := invoke("demo", dir)
	require.Equal(t, exitFailed, status)
	require.Equal(t, "pve-ha-tester: "+dir+": manual-migrate requires service in 'ignored' state or disarm-ha ignore mode\n", stderr)
}
