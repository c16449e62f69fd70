package hactl

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Values of JSON here are nil, string, number, bool, int, []any, []string and
// object.
type (
	number string // as it is written
	object = map[string]any
)

// jsonText is a value as compact JSON, keys sorted.
func jsonText(value any) string { return string(appendJSON(nil, value, "", false)) }

// prettyJSON is a value as JSON over several lines, keys sorted, a line feed
// at its end.
func prettyJSON(value any) string { return string(appendJSON(nil, value, "\n", true)) + "\n" }

const jsonIndent = "   "

func appendJSON(out []byte, value any, indent string, pretty bool) []byte {
	switch v := value.(type) {
	case nil:
		return append(out, "null"...)
	case string:
		return appendString(out, v)
	case number:
		return append(out, v...)
	case int:
		return strconv.AppendInt(out, int64(v), 10)
	case bool:
		return strconv.AppendBool(out, v)
	case []string:
		return appendList(out, toAny(v), indent, pretty)
	case []any:
		return appendList(out, v, indent, pretty)
	case object:
		return appendObject(out, v, indent, pretty)
	}
	panic(fmt.Sprintf("no JSON for a %T", value))
}

func toAny(list []string) []any {
	values := make([]any, len(list))
	for i := range list {
		values[i] = list[i]
	}
	return values
}

func appendList(out []byte, list []any, indent string, pretty bool) []byte {
	if len(list) == 0 {
		return append(out, "[]"...)
	}
	inner := indent + jsonIndent
	out = append(out, '[')
	for i, value := range list {
		if i > 0 {
			out = append(out, ',')
		}
		if pretty {
			out = append(out, inner...)
		}
		out = appendJSON(out, value, inner, pretty)
	}
	if pretty {
		out = append(out, indent...)
	}
	return append(out, ']')
}

func appendObject(out []byte, fields object, indent string, pretty bool) []byte {
	if len(fields) == 0 {
		return append(out, "{}"...)
	}
	inner, colon := indent+jsonIndent, ":"
	if pretty {
		colon = " : "
	}
	out = append(out, '{')
	for i, key := range slices.Sorted(maps.Keys(fields)) {
		if i > 0 {
			out = append(out, ',')
		}
		if pretty {
			out = append(out, inner...)
		}
		out = append(appendString(out, key), colon...)
		out = appendJSON(out, fields[key], inner, pretty)
	}
	if pretty {
		out = append(out, indent...)
	}
	return append(out, '}')
}

// appendString writes a string with the escapes that the Perl command writes.
func appendString(out []byte, text string) []byte {
	const short = "\"\"\\\\\nn\rr\tt\ff\bb"
	out = append(out, '"')
	for i := 0; i < len(text); i++ {
		c := text[i]
		if at := strings.IndexByte(short, c); at >= 0 && at%2 == 0 {
			out = append(out, '\\', short[at+1])
		} else if c < ' ' {
			out = fmt.Appendf(out, `\u%04x`, c)
		} else {
			out = append(out, c)
		}
	}
	return append(out, '"')
}

// text is a value as Perl shows it: "" for what is missing.
func text(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case number:
		return string(v)
	case int:
		return strconv.Itoa(v)
	case bool:
		return perlBool(v)
	case []any, object:
		return "(a structure)"
	}
	return ""
}

// truth tells what counts as true: anything but nothing, "" and 0.
func truth(value any) bool {
	switch v := value.(type) {
	case nil:
		return false
	case bool:
		return v
	case []any, object:
		return true
	}
	word := text(value)
	return word != "" && word != "0" && word != "0.0"
}

// fields is a value as an object, empty if it is none.
func fields(value any) object {
	o, _ := value.(object)
	return o
}

// seconds reads a time: a number, or text that begins with one.
func seconds(value any) int64 {
	word := text(value)
	if n, err := strconv.ParseInt(word, 10, 64); err == nil {
		return n
	}
	f, _ := strconv.ParseFloat(word, 64)
	return int64(f)
}

// yamlText is a value as a YAML document.
func yamlText(value any) string {
	switch v := value.(type) {
	case []any:
		if len(v) == 0 {
			return "--- []\n"
		}
	case object:
		if len(v) == 0 {
			return "--- {}\n"
		}
	default:
		return "--- " + yamlScalar(value) + "\n"
	}
	return "---\n" + yamlBlock(value, "", "")
}

// yamlBlock writes a list or an object that is not empty; first stands before
// its first line and indent before the others.
func yamlBlock(value any, first, indent string) string {
	var b strings.Builder
	put := func(lead, key string, value any, childIndent string) {
		if list, ok := value.([]string); ok {
			value = toAny(list)
		}
		nested := false
		switch v := value.(type) {
		case []any:
			nested = len(v) > 0
		case object:
			nested = len(v) > 0
		}
		switch {
		case !nested:
			b.WriteString(fold(lead+key, yamlScalar(value), childIndent) + "\n")
		case key == "":
			b.WriteString(yamlBlock(value, lead, childIndent))
		default:
			b.WriteString(lead + strings.TrimSuffix(key, " ") + "\n")
			b.WriteString(yamlBlock(value, childIndent, childIndent))
		}
	}
	switch v := value.(type) {
	case []any:
		for i, item := range v {
			lead := first
			if i > 0 {
				lead = indent
			}
			put(lead+"- ", "", item, indent+"  ")
		}
	case object:
		for i, key := range slices.Sorted(maps.Keys(v)) {
			lead := first
			if i > 0 {
				lead = indent
			}
			childIndent := indent + "  "
			switch list := v[key].(type) {
			case []string:
				if len(list) > 0 {
					childIndent = indent
				}
			case []any:
				if len(list) > 0 {
					childIndent = indent
				}
			}
			put(lead, yamlScalar(key)+": ", v[key], childIndent)
		}
	}
	return b.String()
}

// yamlWidth is the column behind which a line is broken at the next space.
const yamlWidth = 80

// fold writes a value behind its key and breaks lines that are too long.
func fold(lead, value, indent string) string {
	if strings.HasPrefix(value, "\"") {
		return lead + value
	}
	column := utf8.RuneCountInString(lead)
	var b strings.Builder
	b.WriteString(lead)
	runes := []rune(value)
	for i, r := range runes {
		inner := i > 0 && i < len(runes)-1 && runes[i-1] != ' ' && runes[i+1] != ' '
		if r == ' ' && inner && column > yamlWidth {
			b.WriteString("\n" + indent)
			column = len(indent)
			continue
		}
		b.WriteRune(r)
		column++
	}
	return b.String()
}

// yamlScalar writes a single value, quoted where it would be read as
// something else.
func yamlScalar(value any) string {
	switch v := value.(type) {
	case nil:
		return "~"
	case []any, []string:
		return "[]"
	case object:
		return "{}"
	case string:
		return yamlString(v)
	}
	return text(value)
}

func yamlString(s string) string {
	switch {
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable):
		return yamlDouble(s)
	case !slices.Contains([]string{"", "~", "null", "true", "false"}, s) && !looksLikeNumber(s) && yamlPlain(s):
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// unprintable tells what YAML writes as an escape.
func unprintable(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0xfeff || r == utf8.RuneError || r > 0xffff
}

func looksLikeNumber(s string) bool {
	_, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return err == nil && !strings.Contains(s, "_")
}

// yamlPlain tells whether a text needs no quotes.
func yamlPlain(s string) bool {
	if strings.HasPrefix(s, "---") || strings.HasPrefix(s, "...") || strings.TrimSpace(s) != s {
		return false
	}
	if strings.ContainsAny(s[:1], "#,[]{}&*!|>'\"%@`") {
		return false
	}
	if strings.ContainsAny(s[:1], "-?:") && (len(s) == 1 || s[1] == ' ') {
		return false
	}
	return !strings.Contains(s, ": ") && !strings.Contains(s, " #") && !strings.HasSuffix(s, ":")
}

func yamlDouble(s string) string {
	out := []byte{'"'}
	for _, r := range s {
		switch {
		case r == '\n':
			out = append(out, `\n`...)
		case r == '\t':
			out = append(out, `\t`...)
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r == 0x85:
			out = append(out, `\N`...)
		case unprintable(r) && r <= 0xff:
			out = fmt.Appendf(out, `\x%02X`, r)
		case unprintable(r) && r <= 0xffff:
			out = fmt.Appendf(out, `\u%04X`, r)
		case unprintable(r):
			out = fmt.Appendf(out, `\U%08X`, r)
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return string(append(out, '"'))
}
