package cfgparse

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTreeGivesItsInputBack(t *testing.T) {
	for _, text := range []string{
		"", "\n", "\n\n", "x", "vm: 100", "vm: 100\n", "vm: 100\n\tstate started\n\n",
		"# top\r\nvm: 100\r\n  state\tstarted  \r\n\r\n\t# inside\n0\nct: 101\n\n\n",
		"a:\xff\x00b\n\t\xc2\xa0x\n", "garbage\n\tgarbage",
	} {
		require.Equal(t, text, Parse([]byte(text)).String())
	}
}

func TestLinesAreKnownByWhereTheyStand(t *testing.T) {
	tree := Parse([]byte("# c\n\tstate x\nvm: 100\nct: 101\n\tstate started\n  # c\n\t\n\r\n\tgroup g\n\nfoo bar\nct:102 \n0\n\tx\nvm: 1 2\n"))
	kinds := make([]LineKind, tree.Len())
	for n := range kinds {
		kinds[n] = tree.Line(n + 1).Kind
	}
	require.Equal(t, []LineKind{
		LineComment, LineIgnored, LineHeader, LineIgnored, LineProperty, LineComment, LineIgnored, LineIgnored,
		LineProperty, LineBlank, LineIgnored, LineHeader, LineBlank, LineIgnored, LineIgnored,
	}, kinds)
	require.Equal(t, []Section{
		{Type: "vm", ID: "100", Header: 3, Last: 9},
		{Type: "ct", ID: "102", Header: 12, Last: 12},
	}, tree.Sections)
	require.Equal(t, "\tgroup g", tree.Line(9).Text)
}

func TestHeadersAreTakenApart(t *testing.T) {
	for line, want := range map[string][2]string{
		"vm: 100":         {"vm", "100"},
		"vm:100":          {"vm", "100"},
		"vm:\t 100 \r":    {"vm", "100"},
		"a:b:c":           {"a:b", "c"},
		"a:b:":            {"a", "b:"},
		"a::":             {"a", ":"},
		"vm:: 100":        {"vm:", "100"},
		"::: x":           {"::", "x"},
		":::":             {":", ":"},
		"Node-Affinity:x": {"Node-Affinity", "x"},
	} {
		typ, id, ok := SplitHeader(line)
		require.True(t, ok, "%q", line)
		require.Equal(t, want, [2]string{typ, id}, "%q", line)
	}
	for _, line := range []string{"", "vm", "vm:", "vm: ", ":x", ": x", "::", " vm: 100", "vm : 100", "vm: 1 2", "a:b c", "a:b c:", "\xa0"} {
		_, _, ok := SplitHeader(line)
		require.False(t, ok, "%q", line)
	}
}

func TestPropertiesAreTakenApart(t *testing.T) {
	for line, want := range map[string]struct {
		key, value string
		given      bool
	}{
		"\tstate started":        {"state", "started", true},
		"  a \t b  c \r":         {"a", "b  c", true},
		" a":                     {"a", "", false},
		"\v\fa \r":               {"a", "", false},
		"\ta\xc2\xa0b c\xc2\xa0": {"a\xc2\xa0b", "c\xc2\xa0", true},
	} {
		key, value, given, ok := SplitProperty(line)
		require.True(t, ok, "%q", line)
		require.Equal(t, want.key, key)
		require.Equal(t, want.value, value)
		require.Equal(t, want.given, given)
	}
	for _, line := range []string{"", "a", "a b", " ", "\t\r"} {
		_, _, _, ok := SplitProperty(line)
		require.False(t, ok, "%q", line)
	}
}

func TestDigestIsThatOfTheBytes(t *testing.T) {
	require.Equal(t, "da39a3ee5e6b4b0d3255bfef95601890afd80709", Digest(nil))
	require.Equal(t, "adc83b19e793491b1c6ea0fd8b46cd9f32e592fc", Digest([]byte("\n")))
}
