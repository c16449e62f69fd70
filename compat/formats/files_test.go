package formats

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse/hacfg"
	"pveha/internal/ha"
)

// state is one state of one file, as recorded on a cluster of the Perl stack.
type state struct {
	File string  `json:"file"`
	Data *string `json:"data"` // nil: there was no such file
}

// recordedStates returns the states in the recordings that match pattern.
func recordedStates(t *testing.T, pattern string) []state {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	var states []state
	for _, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, len(data)+1)
		for lines.Scan() {
			var s state
			require.NoError(t, json.Unmarshal(lines.Bytes(), &s), path)
			if s.File != "" && s.Data != nil {
				states = append(states, s)
			}
		}
		require.NoError(t, lines.Err())
	}
	return states
}

// decoded returns the value of a JSON text with numbers as they are written.
func decoded(t *testing.T, data []byte) any {
	t.Helper()
	var value any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&value), "%s", data)
	return value
}

// keepsStatus checks that a status file means the same when it is read and
// written, and that writing has one form.
func keepsStatus(t *testing.T, s state) {
	t.Helper()
	encode := func(data []byte) []byte {
		if strings.HasSuffix(s.File, "lrm_status") {
			status, err := ha.ParseLRMStatus(s.File, data)
			require.NoError(t, err)
			require.Empty(t, status.Extra)
			return status.Encode()
		}
		status, err := ha.ParseManagerStatus(s.File, data)
		require.NoError(t, err)
		require.Empty(t, status.Extra)
		return status.Encode()
	}
	written := encode([]byte(*s.Data))
	require.Equal(t, decoded(t, []byte(*s.Data)), decoded(t, written))
	require.Equal(t, string(written), string(encode(written)))
}

// keepsBytes checks that a configuration file, which the Perl stack has
// written, is the same to the byte when it is read and written here.
func keepsBytes(t *testing.T, s state) {
	t.Helper()
	var written []byte
	var problems []hacfg.Problem
	var err error
	switch s.File {
	case "ha/resources.cfg":
		var file *hacfg.Resources
		file, problems = hacfg.ParseResources(s.File, []byte(*s.Data))
		written, err = file.Write()
	case "ha/groups.cfg":
		var file *hacfg.Groups
		file, problems = hacfg.ParseGroups(s.File, []byte(*s.Data))
		written, err = file.Write()
	case "ha/rules.cfg":
		var file *hacfg.Rules
		file, problems = hacfg.ParseRules(s.File, []byte(*s.Data))
		written, err = file.Write()
	}
	require.NoError(t, err)
	require.Empty(t, problems)
	require.Equal(t, *s.Data, string(written))
}

func keepsCommands(t *testing.T, s state) {
	t.Helper()
	var b strings.Builder
	for _, line := range ha.CommandLines(*s.Data) {
		command, err := ha.ParseCommand(line)
		require.NoError(t, err)
		b.WriteString(command.String() + "\n")
	}
	require.Equal(t, *s.Data, b.String())
}

func TestRecordedStatusFilesKeepTheirMeaning(t *testing.T) {
	states := recordedStates(t, "../testdata/status/*.jsonl")
	require.Len(t, states, 38)
	for _, s := range states {
		keepsStatus(t, s)
	}
}

func TestRecordedFilesOfLiveClustersKeepTheirMeaning(t *testing.T) {
	seen := map[string]int{}
	for _, s := range recordedStates(t, "../testdata/live/*.jsonl") {
		kind := filepath.Base(s.File)
		seen[kind]++
		switch kind {
		case "manager_status", "lrm_status":
			keepsStatus(t, s)
		case "resources.cfg", "groups.cfg", "rules.cfg":
			keepsBytes(t, s)
		case "crm_commands":
			keepsCommands(t, s)
		case "locks", "guests": // lists made by the recorder
		default:
			t.Errorf("unknown file %s", s.File)
		}
	}
	require.Equal(t, map[string]int{
		"manager_status": 104, "lrm_status": 378, "resources.cfg": 13, "groups.cfg": 1, "rules.cfg": 2,
		"crm_commands": 20, "locks": 34, "guests": 10,
	}, seen)
}
