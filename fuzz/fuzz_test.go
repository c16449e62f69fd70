package fuzz

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse"
)

// addVectors seeds f with the recorded inputs of one kind.
func addVectors(f *testing.F, kind string) {
	f.Helper()
	eachRecord(f, "../compat/testdata/formats/vectors.jsonl", func(line []byte) {
		var vector struct{ Kind, Input string }
		require.NoError(f, json.Unmarshal(line, &vector))
		if vector.Kind == kind {
			f.Add([]byte(vector.Input))
		}
	})
}

// addStates seeds f with the recorded states of a file.
func addStates(f *testing.F, file string) {
	f.Helper()
	eachRecord(f, "../compat/testdata/status/examples.jsonl", func(line []byte) {
		var state struct{ File, Data string }
		require.NoError(f, json.Unmarshal(line, &state))
		if filepath.Base(state.File) == file {
			f.Add([]byte(state.Data))
		}
	})
}

func eachRecord(f *testing.F, path string, do func(line []byte)) {
	f.Helper()
	data, err := os.ReadFile(path)
	require.NoError(f, err)
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for lines.Scan() {
		do(lines.Bytes())
	}
	require.NoError(f, lines.Err())
}

// Limits of what a parser may use for an input. The most wasteful input for
// its size is a section for every five bytes, each with its entry.
const (
	maxTime      = 5 * time.Second
	bytesPerByte = 2048
	bytesAlways  = 4 << 20
)

// bounded runs parse and fails when it takes too long or too much memory for
// the size of its input.
func bounded(t *testing.T, input []byte, parse func()) {
	t.Helper()
	before, start := allocated(), time.Now()
	parse()
	if used := time.Since(start); used > maxTime {
		t.Fatalf("%d bytes of input took %v", len(input), used)
	}
	if used := allocated() - before; used > uint64(bytesAlways+bytesPerByte*len(input)) {
		t.Fatalf("%d bytes of input took %d bytes of memory", len(input), used)
	}
}

// allocated returns how many bytes this process has ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// useProblems makes every text of every problem.
func useProblems(t *testing.T, problems []cfgparse.Problem) {
	t.Helper()
	for i := range problems {
		p := &problems[i]
		require.NotEmpty(t, p.Warning())
		require.NotEmpty(t, p.Error())
		_ = p.Message() + p.Reason() + p.Context() + p.File() + p.Section() + p.Key()
	}
}
