package rules

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse/hacfg"
	"pveha/internal/golden"
)

// The published expectations of the Perl stack: what it logs on a cluster of
// three nodes, and the rules before and after compilation.
func TestPublishedExpectations(t *testing.T) {
	configs, err := filepath.Glob(filepath.Join(golden.Shared(t, "golden", "upstream", "rules_cfgs"), "*.cfg"))
	require.NoError(t, err)
	require.NotEmpty(t, configs)
	for _, config := range configs {
		t.Run(strings.TrimSuffix(filepath.Base(config), ".cfg"), func(t *testing.T) {
			raw, err := os.ReadFile(config)
			require.NoError(t, err)
			want, err := os.ReadFile(config + ".expect")
			require.NoError(t, err)

			r, problems := hacfg.ParseRules(config, raw)
			require.Empty(t, problems)
			var got strings.Builder
			got.WriteString("--- Log ---\n")
			for _, message := range Transform(r, threeNodes) {
				got.WriteString(message + "\n")
			}
			got.WriteString("--- Config ---\n" + pretty(t, perlRules(r)))
			got.WriteString("--- Compiled Config ---\n" + pretty(t, perlCompiled(Compile(r, threeNodes))))
			golden.Equal(t, filepath.Base(config), want, []byte(got.String()))
		})
	}
}

// The recorded vectors: messages, transformed and compiled rules of generated
// files, many of them with mistakes.
func TestRecordedVectors(t *testing.T) {
	raw, err := os.ReadFile(golden.Shared(t, "golden", "formats", "vectors.jsonl"))
	require.NoError(t, err)
	seen := 0
	for line := range strings.Lines(string(raw)) {
		var vector struct {
			Kind, ID, Input string
			Messages        []string
			Transformed     object
			Compiled        json.RawMessage
		}
		require.NoError(t, json.Unmarshal([]byte(line), &vector))
		if vector.Kind != "rules" {
			continue
		}
		seen++
		t.Run(vector.ID, func(t *testing.T) {
			r, _ := hacfg.ParseRules("rules.cfg", []byte(vector.Input))
			var messages []string
			for _, message := range Transform(r, threeNodes) {
				messages = append(messages, message+"\n")
			}
			require.Equal(t, strings.Join(vector.Messages, ""), strings.Join(messages, ""))

			delete(vector.Transformed, "errors") // of the reader, no part of the rules
			require.JSONEq(t, text(t, vector.Transformed), text(t, perlRules(r)))
			require.JSONEq(t, string(vector.Compiled), text(t, perlCompiled(Compile(r, threeNodes))))
		})
	}
	require.NotZero(t, seen)
}

func text(t *testing.T, o object) string {
	raw, err := json.Marshal(o)
	require.NoError(t, err)
	return string(raw)
}
