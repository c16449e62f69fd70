package fuzz

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse"
	"pveha/cfgparse/hacfg"
)

// A tree prints as its input, and its sections lie in it in order.
func FuzzTree(f *testing.F) {
	for _, kind := range []string{"resources", "groups", "rules"} {
		addVectors(f, kind)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var tree *cfgparse.Tree
		bounded(t, raw, func() { tree = cfgparse.Parse(raw) })
		require.Equal(t, string(raw), tree.String())
		last := 0
		for _, section := range tree.Sections {
			require.Greater(t, section.Header, last)
			require.GreaterOrEqual(t, section.Last, section.Header)
			require.LessOrEqual(t, section.Last, tree.Len())
			require.Equal(t, cfgparse.LineHeader, tree.Line(section.Header).Kind)
			last = section.Last
		}
	})
}

// What is written of a file reads as the same again, or it is not written.
func FuzzResources(f *testing.F) {
	addVectors(f, "resources")
	f.Fuzz(func(t *testing.T, raw []byte) {
		var first *hacfg.Resources
		bounded(t, raw, func() {
			var problems []hacfg.Problem
			first, problems = hacfg.ParseResources("f", raw)
			useProblems(t, problems)
		})
		written, err := first.Write()
		require.NoError(t, err)
		second, problems := hacfg.ParseResources("f", written)
		for _, r := range first.ByID {
			// The Perl stack cannot read the numbers that it writes here.
			if isHuge(r.MaxRestart) || isHuge(r.MaxRelocate) {
				return
			}
		}
		require.Empty(t, problems)
		require.Len(t, second.ByID, len(first.ByID))
		again, err := second.Write()
		require.NoError(t, err)
		require.Equal(t, string(written), string(again))
	})
}

func isHuge(n *int) bool { return n != nil && *n == math.MaxInt }

func FuzzGroups(f *testing.F) {
	addVectors(f, "groups")
	f.Fuzz(func(t *testing.T, raw []byte) {
		var first *hacfg.Groups
		bounded(t, raw, func() {
			var problems []hacfg.Problem
			first, problems = hacfg.ParseGroups("f", raw)
			useProblems(t, problems)
		})
		written, err := first.Write()
		if err != nil {
			require.Nil(t, written)
			return
		}
		require.Empty(t, first.Broken)
		second, problems := hacfg.ParseGroups("f", written)
		require.Empty(t, problems)
		again, err := second.Write()
		require.NoError(t, err)
		require.Equal(t, string(written), string(again))
	})
}

func FuzzRules(f *testing.F) {
	addVectors(f, "rules")
	f.Fuzz(func(t *testing.T, raw []byte) {
		var first *hacfg.Rules
		bounded(t, raw, func() {
			var problems []hacfg.Problem
			first, problems = hacfg.ParseRules("f", raw)
			useProblems(t, problems)
		})
		written, err := first.Write()
		if err != nil {
			require.Nil(t, written)
			return
		}
		require.Empty(t, first.Broken)
		second, problems := hacfg.ParseRules("f", written)
		require.Len(t, second.ByID, len(first.ByID))
		for _, rule := range first.ByID {
			// Spaces around a comment are written as they are, and are not part
			// of a value when they are read.
			if strings.Trim(rule.Comment, " ") != rule.Comment {
				return
			}
		}
		require.Empty(t, problems)
		again, err := second.Write()
		require.NoError(t, err)
		require.Equal(t, string(written), string(again))
	})
}

func FuzzFence(f *testing.F) {
	addVectors(f, "fence")
	f.Fuzz(func(t *testing.T, raw []byte) {
		var first *hacfg.Fence
		var err error
		bounded(t, raw, func() {
			var problems []hacfg.Problem
			first, problems, err = hacfg.ParseFence("f", raw)
			useProblems(t, problems)
		})
		if err != nil {
			require.Nil(t, first)
			return
		}
		useFence(t, first)
		written, err := first.Write()
		if err != nil {
			require.Nil(t, written)
			return
		}
		second, problems, err := hacfg.ParseFence("f", written)
		require.NoError(t, err)
		require.Empty(t, problems)
		require.Len(t, second.Devices, len(first.Devices))
		for name, device := range first.Devices {
			require.Equal(t, device.Parts, second.Devices[name].Parts)
		}
		again, err := second.Write()
		require.NoError(t, err)
		require.Equal(t, string(written), string(again))
	})
}

// useFence makes the commands for every node of a small configuration.
func useFence(t *testing.T, fence *hacfg.Fence) {
	t.Helper()
	if len(fence.Devices) > 20 {
		return
	}
	for _, device := range fence.Devices {
		for _, part := range device.Parts {
			for node := range part.Nodes {
				count := fence.CountDevices(node)
				require.Positive(t, count)
				require.NotNil(t, fence.Commands(node, count-1))
				require.Nil(t, fence.Commands(node, count))
				for _, command := range fence.Commands(node, 0) {
					if line, err := command.Line(); err != nil {
						require.Empty(t, line)
					}
				}
			}
		}
	}
}

func FuzzDatacenter(f *testing.F) {
	addVectors(f, "datacenter")
	f.Fuzz(func(t *testing.T, raw []byte) {
		bounded(t, raw, func() {
			dc, problems := hacfg.ParseDatacenter("f", raw)
			useProblems(t, problems)
			require.GreaterOrEqual(t, dc.MaxWorkers, 0)
		})
	})
}

// The words of a text are the same when they are quoted and split again. A
// backslash or a single quote in a word is quoted for a shell, which the
// splitting does not understand.
func FuzzWords(f *testing.F) {
	f.Add([]byte(`a "b c" 'd\'e' f\ g`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var words []string
		bounded(t, raw, func() { words = cfgparse.SplitWords(string(raw)) })
		quoted := make([]string, len(words))
		for i, word := range words {
			if strings.ContainsAny(word, `\'`) {
				return
			}
			var err error
			if quoted[i], err = cfgparse.QuoteWord(word); err != nil {
				require.Contains(t, word, "\x00")
				return
			}
		}
		if text := strings.Join(quoted, " "); text != "0" {
			require.Equal(t, words, cfgparse.SplitWords(text))
		}
	})
}

// Comments come back as they are, and an encoded one holds nothing that a line
// cannot hold.
func FuzzComment(f *testing.F) {
	f.Add([]byte("50%: gr\xc3\xb6\xc3\x9fe"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var text string
		bounded(t, raw, func() { text = cfgparse.DecodeText(string(raw)) })
		encoded := cfgparse.EncodeText(text)
		require.Equal(t, text, cfgparse.DecodeText(encoded))
		for _, c := range []byte(encoded) {
			require.True(t, c >= ' ' && c <= '~')
		}
	})
}

// Nothing separates items but separators, and no item has one.
func FuzzList(f *testing.F) {
	f.Add([]byte("node1:1, node2;node3\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var items []string
		bounded(t, raw, func() { items = cfgparse.SplitList(string(raw)) })
		separators := ",; \t\n\v\f\r\x85\xa0"
		if strings.Contains(string(raw), "\x00") {
			separators = "\x00"
		}
		for _, item := range items {
			for i := range len(item) {
				require.NotContains(t, separators, item[i:i+1])
			}
		}
	})
}

func FuzzNodePriority(f *testing.F) {
	addVectors(f, "nodeprio")
	f.Fuzz(func(t *testing.T, raw []byte) {
		node, priority, err := hacfg.ParseNodePriority(string(raw))
		if err != nil {
			require.Empty(t, node)
			require.Zero(t, priority)
			return
		}
		require.NotEmpty(t, node)
		require.GreaterOrEqual(t, priority, 0)
	})
}
