package cfgparse

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListsAreSplit(t *testing.T) {
	for list, want := range map[string][]string{
		"":                        {},
		" ,; ":                    {},
		"a,b;c d":                 {"a", "b", "c", "d"},
		", a ,, b\t":              {"a", "b"},
		"a\x00b c,d\x00":          {"a", "b c,d"},
		"a\x00\x00b":              {"a", "", "b"},
		"\x00":                    {},
		"a\xc2\xa0b":              {"a\xc2", "b"},
		"a\xc2\x85b":              {"a\xc2", "b"},
		"node1:2, node2 , node3;": {"node1:2", "node2", "node3"},
	} {
		require.Equal(t, want, SplitList(list), "%q", list)
	}
}

func TestCommentsAreEncoded(t *testing.T) {
	for text, encoded := range map[string]string{
		"plain text ~": "plain text ~",
		"50%: a":       "50%25%3A a",
		"größe":        "gr%C3%B6%C3%9Fe",
		"a\nb\x7f":     "a%0Ab%7F",
		"\U0010ffff":   "%F4%8F%BF%BF",
	} {
		require.Equal(t, encoded, EncodeText(text))
		require.Equal(t, text, DecodeText(encoded))
	}
}

func TestCommentsOfAnyKindAreDecoded(t *testing.T) {
	for encoded, want := range map[string]string{
		"%":                            "%",
		"%4":                           "%4",
		"%zz%3a%3A":                    "%zz::",
		"größe":                        "größe",
		"gr\xf6\xdfe":                  "gr\uFFFD\uFFFDe",
		"\xe2\x82":                     "\uFFFD",
		"\xe2\x82x":                    "\uFFFDx",
		"\xc0\x80":                     "\uFFFD",
		"\xe0\x80\x80":                 "\uFFFD",
		"\xf0\x80\x80\x80":             "\uFFFD",
		"\xed\xa0\x80":                 "\xed\xa0\x80",
		"\xf4\x90\x80\x80":             "\xf4\x90\x80\x80",
		"\xf8\x88\x80\x80\x80":         "\xf8\x88\x80\x80\x80",
		"\xf8\x87\x80\x80\x80":         "\uFFFD",
		"\xfe\x82\x80\x80\x80\x80\x80": "\xfe\x82\x80\x80\x80\x80\x80",
		"\xff\x80\x87\xbf\xbf\xbf\xbf\xbf\xbf\xbf\xbf\xbf\xbf": "\xff\x80\x87\xbf\xbf\xbf\xbf\xbf\xbf\xbf\xbf\xbf\xbf",
		"\xff\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80": "\uFFFD",
	} {
		require.Equal(t, want, DecodeText(encoded), "%q", encoded)
	}
}

func TestIntegersAreNormal(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "-0": "0", "+0": "0", "007": "7", "+5": "5", "-12": "-12",
		"18446744073709551615": "18446744073709551615", "18446744073709551616": "1.84467440737096e+19",
		"-9223372036854775808": "-9223372036854775808", "-9223372036854775809": "-9.22337203685478e+18",
		"99999999999999999999":         "1e+20",
		strings.Repeat("9", 120):       "1e+120",
		"-" + strings.Repeat("9", 400): "-Inf",
	} {
		require.Equal(t, want, NormalInteger(text))
	}
}

func TestWordsAreSplitLikeAShellDoes(t *testing.T) {
	for text, want := range map[string][]string{
		"":                         nil,
		"0":                        nil,
		"a  b\tc\r":                {"a", "b", "c"},
		`p="a b" q='c d'`:          {"p=a b", "q=c d"},
		`a\ b c\"d`:                {"a b", `c"d`},
		`"a\"b\\c\n"`:              {`a"b\cn`},
		`'a\b' 'it\'s'`:            {`a\b`, `it\'s`},
		`"" x ''`:                  {"", "x", ""},
		`a""b`:                     {"ab"},
		`a "open`:                  nil,
		`a 'open`:                  nil,
		`a b\`:                     nil,
		"password=\"12\\\"345\"":   {`password=12"345`},
		"a\\\nb":                   {"a\nb"},
		"fäöµ€ username=\"fäöµ€\"": {"fäöµ€", "username=fäöµ€"},
	} {
		require.Equal(t, want, SplitWords(text), "%q", text)
	}
}

func TestWordsAreQuotedForAShell(t *testing.T) {
	for word, want := range map[string]string{
		"":            "''",
		"a-b_c.1/x:@": "a-b_c.1/x:@",
		"!%+,^":       "!%+,^",
		"delay=5":     "'delay=5'",
		"a b":         "'a b'",
		"it's":        `'it'\''s'`,
		"'":           `\'`,
		"''":          `"''"`,
		"a'''b":       `'a'"'''"'b'`,
		"'a":          `\''a'`,
		"$x;`y`":      "'$x;`y`'",
		"ü":           "'ü'",
		"\xff":        "'\xff'",
		"\n":          "'\n'",
	} {
		got, err := QuoteWord(word)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := QuoteWord("a\x00b")
	require.EqualError(t, err, `shell_quote(): No way to quote string containing null (\000) bytes`)
}
