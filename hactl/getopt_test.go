package hactl

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The recordings hold the syntax to the Perl command; here are the corners that
// show what is behind it, and what the new options do differently.
func TestScan(t *testing.T) {
	for name, test := range map[string]struct {
		command, args string
		values        map[string][]string
		rest          []string
		warnings      []string
	}{
		"options anywhere":        {"set", "--state stopped vm:100 -comment x", map[string][]string{"state": {"stopped"}, "comment": {"x"}}, []string{"vm:100"}, nil},
		"unique prefix, any case": {"set", "--MAX_RES=3", map[string][]string{"max_restart": {"3"}}, nil, nil},
		"exact name wins":         {"rules config", "--resource=x", map[string][]string{"resource": {"x"}}, nil, nil},
		"the last one counts":     {"set", "--state a --state b", map[string][]string{"state": {"b"}}, nil, nil},
		"lists grow":              {"groupadd", "--nodes a --nodes b", map[string][]string{"nodes": {"a", "b"}}, nil, nil},
		"behind two dashes":       {"set", "-- --state x", map[string][]string{}, []string{"--state", "x"}, nil},
		"a dash is an argument":   {"set", "- vm:100", map[string][]string{}, []string{"-", "vm:100"}, nil},
		"mandatory takes all":     {"set", "--comment --state", map[string][]string{"comment": {"--state"}}, nil, nil},
		"boolean leaves options":  {"set", "--failback --state x", map[string][]string{"failback": {""}, "state": {"x"}}, nil, nil},
		"boolean takes the next":  {"set", "--failback vm:100", map[string][]string{"failback": {"vm:100"}}, nil, nil},
		"new boolean does not":    {"explain", "--json vm:100", map[string][]string{"json": {"vm:100"}}, nil, nil},
		"new boolean and a word":  {"status", "--watch no", map[string][]string{"watch": {"no"}}, nil, nil},
		"all problems are told": {
			"set", "--bogus --max_re 1 --state= --comment",
			map[string][]string{},
			[]string{"1"},
			[]string{"Unknown option: bogus", "Option max_re is ambiguous (max_relocate, max_restart)", "Option state requires an argument", "Option comment requires an argument"},
		},
		"new options are not shortened": {"status", "--js --v", map[string][]string{"verbose": {""}}, nil, []string{"Unknown option: js"}},
	} {
		t.Run(name, func(t *testing.T) {
			var warnings []string
			g, ok := lookup(test.command).scan(strings.Fields(test.args), func(w string) { warnings = append(warnings, w) })
			require.Equal(t, test.values, g.values)
			require.Equal(t, test.rest, g.rest)
			require.Equal(t, test.warnings, warnings)
			require.Equal(t, len(warnings) == 0, ok)
		})
	}
}

func TestNewBooleansTakeNoArgument(t *testing.T) {
	g, ok := lookup("crm-command migrate").scan([]string{"--wait", "vm:100", "node2"}, func(string) {})
	require.True(t, ok)
	require.Equal(t, []string{"vm:100", "node2"}, g.rest)
	require.Equal(t, map[string][]string{"wait": {""}}, g.values)
}

// FuzzScan shows that no arguments upset the scanner, and that none get lost:
// each is an argument, the value of an option, or part of a complaint.
func FuzzScan(f *testing.F) {
	f.Add("set", "--state x vm:100")
	f.Add("rules add", "-- --a\x00=")
	f.Fuzz(func(t *testing.T, words, line string) {
		c := lookup(words)
		if c == nil {
			c = lookup("set")
		}
		args := strings.Split(line, "\x00")
		complaints := 0
		g, ok := c.scan(args, func(string) { complaints++ })
		require.Equal(t, complaints == 0, ok)
		require.LessOrEqual(t, len(g.rest), len(args))
		if _, err := c.parse(args, charsetUTF8, func(string) {}); err == nil {
			require.True(t, ok)
		}
	})
}

func TestEveryPrefixOfACommandIsTheCommandOrAmbiguous(t *testing.T) {
	for i := range commands() {
		c := &commands()[i]
		words := strings.Fields(c.words)
		r := resolve(words)
		require.Equal(t, c, r.command, c.words)
		last := words[len(words)-1]
		for n := 1; n < len(last); n++ {
			short := append(slices.Clone(words[:len(words)-1]), last[:n])
			r := resolve(short)
			if c.new {
				require.NotEqual(t, c, r.command, "new words have no short forms: %s", short)
				continue
			}
			if r.command != nil {
				require.True(t, strings.HasPrefix(r.command.words, strings.Join(short, " ")))
				continue
			}
			require.True(t, r.group, short)
		}
	}
}

func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for i := range commands() {
		c := &commands()[i]
		require.False(t, seen[c.words], c.words)
		seen[c.words] = true
		require.NotEmpty(t, c.help, c.words)
		require.False(t, c.read != nil && c.write != nil, "%s reads and writes", c.words)
		require.True(t, c.read != nil || c.write != nil || c.words == "help", "%s does nothing", c.words)
		for _, name := range c.args {
			require.NotNil(t, c.option(name), "%s %s", c.words, name)
		}
		for _, name := range c.optionNames() {
			o := c.option(name)
			require.NotEmpty(t, o.help, "%s --%s", c.words, name)
			require.NotEmpty(t, o.kind, "%s --%s", c.words, name)
			require.Equal(t, strings.ToLower(name), name)
		}
	}
	for alias, target := range aliases {
		require.Nil(t, lookup(alias))
		require.NotNil(t, lookup(target))
	}
}

func TestCharset(t *testing.T) {
	for locale, want := range map[string]charset{
		"": charsetASCII, "C": charsetASCII, "POSIX": charsetASCII, "de_DE.UTF-8": charsetUTF8, "en_US.utf8": charsetUTF8,
		"C.UTF-8@x": charsetUTF8, "de_DE.ISO-8859-1": charsetLatin1, "de_DE": charsetASCII,
	} {
		require.Equal(t, want, Stdio{Getenv: func(string) string { return locale }}.charset(), locale)
	}
	s := Stdio{Getenv: func(name string) string {
		return map[string]string{"LC_CTYPE": "C.UTF-8", "LANG": "C"}[name]
	}}
	require.Equal(t, charsetUTF8, s.charset(), "the more special variable counts")

	require.Equal(t, "a\ufffd\ufffd", charsetASCII.decode("aü"))
	require.Equal(t, "aü\ufffd", charsetUTF8.decode("aü\xff"))
	require.Equal(t, "aü", charsetLatin1.decode("a\xfc"))
	require.Equal(t, "a?", charsetASCII.encode("aü"))
	require.Equal(t, "a\xfc?", charsetLatin1.encode("aü€"))
	require.Equal(t, "aü€", charsetUTF8.encode("aü€"))
}
