package hactl

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// readJSON reads one JSON value. The texts of its errors are those of the Perl
// command, because a broken status file shows itself by them.
func readJSON(data []byte) (value any, err error) { return readJSONWithout(data, "") }

// readJSONWithout is readJSON, but values of one key are checked and left out.
func readJSONWithout(data []byte, key string) (value any, err error) {
	r := &jsonReader{data: data, skip: key}
	defer func() {
		switch failure := recover().(type) {
		case nil:
		case *jsonError:
			err = failure
		default:
			panic(failure)
		}
	}()
	value = r.value(0)
	if r.space(); r.pos < len(data) {
		r.fail("garbage after JSON object")
	}
	return value, nil
}

// maxDepth is how deep values may be nested.
const maxDepth = 512

type jsonError struct{ text string }

func (e *jsonError) Error() string { return e.text }

type jsonReader struct {
	data []byte
	pos  int
	skip string // the key whose values are not kept
	bare bool   // nothing is kept
}

// fail ends reading: what comes at the position is not what it should be.
func (r *jsonReader) fail(problem string) {
	before := `"(end of string)"`
	if r.pos < len(r.data) {
		before = `"` + display(r.data[r.pos:]) + `"`
	}
	panic(&jsonError{fmt.Sprintf("%s, at character offset %d (before %s)", problem, r.pos, before)})
}

// display shows the start of some text.
func display(rest []byte) string {
	const limit = 20
	var b strings.Builder
	for shown := 0; len(rest) > 0; shown++ {
		if b.Len() >= limit && shown >= limit {
			return b.String() + "..."
		}
		r, size := utf8.DecodeRune(rest)
		rest = rest[size:]
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\\':
			b.WriteString(`\\`)
		case r >= ' ' && r < 0x7f:
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\x{%x}`, r)
		}
	}
	return b.String()
}

func (r *jsonReader) space() {
	for r.pos < len(r.data) {
		switch r.data[r.pos] {
		case ' ', '\t', '\r', '\n':
			r.pos++
		default:
			return
		}
	}
}

// peek returns the byte at the position, 0 at the end.
func (r *jsonReader) peek() byte {
	if r.pos < len(r.data) {
		return r.data[r.pos]
	}
	return 0
}

// expect consumes the byte c.
func (r *jsonReader) expect(c byte) {
	if r.peek() != c || r.pos >= len(r.data) {
		r.fail("'" + string(c) + "' expected")
	}
	r.pos++
}

func (r *jsonReader) value(depth int) any {
	r.space()
	switch c := r.peek(); {
	case c == '{':
		return r.object(depth + 1)
	case c == '[':
		return r.list(depth + 1)
	case c == '"':
		r.pos++
		return r.string()
	case c == '-' || c >= '0' && c <= '9':
		return r.number()
	case c == 't':
		r.word("true")
		return true
	case c == 'f':
		r.word("false")
		return false
	case c == 'n':
		r.word("null")
		return nil
	}
	r.fail("malformed JSON string, neither tag, array, object, number, string or atom")
	return nil
}

func (r *jsonReader) word(word string) {
	if !strings.HasPrefix(string(r.data[r.pos:min(len(r.data), r.pos+len(word))]), word) {
		r.fail("'" + word + "' expected")
	}
	r.pos += len(word)
}

// enter consumes an opening bracket.
func (r *jsonReader) enter(depth int) {
	r.pos++
	if depth > maxDepth {
		r.fail("json text or perl structure exceeds maximum nesting level (max_depth set too low?)")
	}
	r.space()
}

func (r *jsonReader) object(depth int) any {
	var o object
	if !r.bare {
		o = object{}
	}
	r.enter(depth)
	if r.peek() == '}' {
		r.pos++
		return o
	}
	for {
		r.space()
		r.expect('"')
		key := r.string()
		r.space()
		r.expect(':')
		switch {
		case r.bare:
			r.value(depth)
		case r.skip != "" && key == r.skip:
			r.bare = true
			r.value(depth)
			r.bare = false
		default:
			o[key] = r.value(depth)
		}
		if r.more('}', ", or } expected while parsing object/hash") {
			return o
		}
	}
}

func (r *jsonReader) list(depth int) any {
	list := []any{}
	r.enter(depth)
	if r.peek() == ']' {
		r.pos++
		return list
	}
	for {
		list = append(list, r.value(depth))
		if r.more(']', ", or ] expected while parsing array") {
			return list
		}
	}
}

// more consumes a comma, or the closing bracket and says so.
func (r *jsonReader) more(closing byte, problem string) (end bool) {
	r.space()
	switch r.peek() {
	case closing:
		r.pos++
		return true
	case ',':
		r.pos++
		return false
	}
	r.fail(problem)
	return true
}

func (r *jsonReader) digits() int {
	start := r.pos
	for c := r.peek(); c >= '0' && c <= '9'; c = r.peek() {
		r.pos++
	}
	return r.pos - start
}

func (r *jsonReader) number() any {
	start := r.pos
	if r.peek() == '-' {
		r.pos++
	}
	if r.peek() == '0' {
		r.pos++
		if c := r.peek(); c >= '0' && c <= '9' {
			r.fail("malformed number (leading zero must not be followed by another digit)")
		}
	} else if r.digits() == 0 {
		r.fail("malformed number (no digits after initial minus)")
	}
	if r.peek() == '.' {
		r.pos++
		if r.digits() == 0 {
			r.fail("malformed number (no digits after decimal point)")
		}
	}
	if c := r.peek(); c == 'e' || c == 'E' {
		r.pos++
		if c := r.peek(); c == '+' || c == '-' {
			r.pos++
		}
		if r.digits() == 0 {
			r.fail("malformed number (no digits after exp sign)")
		}
	}
	return plainNumber(string(r.data[start:r.pos]))
}

// plainNumber is a number in the form that the Perl command prints it in. An
// integer beyond 64 bits is text there.
func plainNumber(word string) any {
	if !strings.ContainsAny(word, ".eE") {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return word
		}
		return number(strconv.FormatInt(n, 10))
	}
	f, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return word
	}
	return number(perlFloat(f))
}

// perlFloat prints a fraction with up to 15 digits, with an exponent only
// where it is much shorter.
func perlFloat(f float64) string {
	const digits = 15
	shortest := strconv.FormatFloat(f, 'e', digits-1, 64)
	mantissa, exponent, _ := strings.Cut(shortest, "e")
	mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	e, _ := strconv.Atoi(exponent)
	if e < -4 || e >= digits {
		return fmt.Sprintf("%se%+03d", mantissa, e)
	}
	fixed := strconv.FormatFloat(f, 'f', digits-1-e, 64)
	if strings.Contains(fixed, ".") {
		fixed = strings.TrimRight(strings.TrimRight(fixed, "0"), ".")
	}
	return fixed
}

// string reads a string behind its opening quote.
func (r *jsonReader) string() string {
	start := r.pos
	for r.pos < len(r.data) && plainByte[r.data[r.pos]] {
		r.pos++
	}
	if r.peek() == '"' {
		r.pos++
		return string(r.data[start : r.pos-1])
	}
	out := append([]byte(nil), r.data[start:r.pos]...)
	for {
		switch c := r.peek(); {
		case r.pos >= len(r.data):
			r.fail("unexpected end of string while parsing JSON string")
		case c == '"':
			r.pos++
			return string(out)
		case c == '\\':
			out = r.escape(out)
		case c < ' ':
			r.fail("invalid character encountered while parsing JSON string")
		case c < utf8.RuneSelf:
			out = append(out, c)
			r.pos++
		default:
			char, size := utf8.DecodeRune(r.data[r.pos:])
			if char == utf8.RuneError && size <= 1 {
				r.fail("malformed UTF-8 character in JSON string")
			}
			out = append(out, r.data[r.pos:r.pos+size]...)
			r.pos += size
		}
	}
}

// plainByte marks the bytes that stand for themselves in a string.
var plainByte = func() (plain [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

func (r *jsonReader) escape(out []byte) []byte {
	const short = "\"\"\\\\//b\bf\fn\nr\rt\t"
	if r.pos+1 < len(r.data) {
		if at := strings.IndexByte(short, r.data[r.pos+1]); at >= 0 && at%2 == 0 {
			r.pos += 2
			return append(out, short[at+1])
		}
		if r.data[r.pos+1] == 'u' {
			return r.unicode(out)
		}
	}
	r.fail("illegal backslash escape sequence in string")
	return out
}

func (r *jsonReader) unicode(out []byte) []byte {
	r.pos += 2
	char := r.hex()
	if utf16.IsSurrogate(char) {
		if r.pos+1 >= len(r.data) || r.data[r.pos] != '\\' || r.data[r.pos+1] != 'u' {
			r.fail("missing low surrogate character in surrogate pair")
		}
		r.pos += 2
		if char = utf16.DecodeRune(char, r.hex()); char == utf8.RuneError {
			r.fail("surrogate pair expected")
		}
	}
	return utf8.AppendRune(out, char)
}

func (r *jsonReader) hex() rune {
	const digits = 4
	end := min(r.pos+digits, len(r.data))
	char, err := strconv.ParseUint(string(r.data[r.pos:end]), 16, 32)
	if err != nil || end-r.pos < digits {
		r.fail("exactly four hexadecimal digits expected")
	}
	r.pos = end
	return rune(char)
}
