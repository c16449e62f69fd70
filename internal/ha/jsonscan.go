package ha

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// ErrEmptyStatus tells that a status file has no content at all. The Perl
// stack takes such a file for the status of a stack that never ran; but the
// cluster file system shows an empty file for a moment while a status is
// replaced, so a reader should read it again before it believes that. A file
// that is missing is another matter, and for the caller to see.
var ErrEmptyStatus = errors.New("the file is empty")

// StatusError tells why a status file cannot be used.
type StatusError struct {
	File   string
	Offset int    // byte where reading stopped, from 0
	Want   string // what was expected there
	Got    string // what is there
	Err    error  // ErrEmptyStatus, or nil
}

func (e *StatusError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("cannot read %s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("cannot read %s: at byte %d: expected %s, found %s", e.File, e.Offset, e.Want, e.Got)
}

func (e *StatusError) Unwrap() error { return e.Err }

// maxJSONDepth is how deep objects and lists may be nested, the limit of the
// JSON module of the Perl stack.
const maxJSONDepth = 512

// jsonScanner reads JSON text from front to back. The first failure stays in
// err; every method does nothing from then on.
type jsonScanner struct {
	data []byte
	pos  int
	err  *StatusError

	words map[string]string // short texts read before, to have each of them once
}

// Limits of jsonScanner.words. A status has few different keys, states and
// nodes, all of them short.
const (
	maxWords      = 512
	maxWordLength = 20
)

func (s *jsonScanner) intern(raw []byte) string {
	if len(raw) > maxWordLength {
		return string(raw)
	}
	if word, ok := s.words[string(raw)]; ok {
		return word
	}
	word := string(raw)
	if s.words == nil {
		s.words = map[string]string{}
	}
	if len(s.words) < maxWords {
		s.words[word] = word
	}
	return word
}

// fail records a failure at the present position.
func (s *jsonScanner) fail(want string) { s.failAt(s.pos, want) }

func (s *jsonScanner) failAt(pos int, want string) {
	if s.err != nil {
		return
	}
	s.err = &StatusError{Offset: pos, Want: want, Got: "the end of the file"}
	if pos < len(s.data) {
		r, size := utf8.DecodeRune(s.data[pos:])
		if r == utf8.RuneError && size <= 1 {
			s.err.Got = fmt.Sprintf("byte 0x%02x", s.data[pos])
		} else {
			s.err.Got = strconv.QuoteRune(r)
		}
	}
}

// next skips white space and returns the byte behind it, 0 at the end and
// after a failure.
func (s *jsonScanner) next() byte {
	for s.err == nil && s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// expect consumes the byte c.
func (s *jsonScanner) expect(c byte, want string) bool {
	if s.next() != c || s.err != nil {
		s.fail(want)
		return false
	}
	s.pos++
	return true
}

// object reads an object and calls f for each of its keys, with the scanner
// at the value, which f must consume. what names the object in failures.
func (s *jsonScanner) object(what string, f func(key string)) {
	s.members('{', '}', "an object with "+what, func() {
		key := s.text("a key of " + what)
		if s.expect(':', "':' behind a key") {
			f(key)
		}
	})
}

// list reads a list and calls f at each element, which f must consume.
func (s *jsonScanner) list(what string, f func()) {
	s.members('[', ']', "a list of "+what, f)
}

func (s *jsonScanner) members(open, end byte, what string, f func()) {
	if !s.expect(open, what) {
		return
	}
	if s.next() == end {
		s.pos++
		return
	}
	for s.err == nil {
		f()
		switch s.next() {
		case ',':
			s.pos++
		case end:
			s.pos++
			return
		default:
			s.fail("',' or '" + string(end) + "'")
		}
	}
}

// text reads a string.
func (s *jsonScanner) text(what string) string {
	if !s.expect('"', what) {
		return ""
	}
	start := s.pos
	plain := true // the text is what stands there
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			raw := s.data[start:s.pos]
			s.pos++
			if plain {
				return s.intern(raw)
			}
			return s.unquote(raw, start)
		case c < 0x20:
			s.fail("a character of " + what)
			return ""
		case c == '\\':
			plain = false
			s.pos++
		case c >= utf8.RuneSelf:
			plain = false
		}
		s.pos++
	}
	s.pos = len(s.data)
	s.fail(`'"' at the end of ` + what)
	return ""
}

// unquote decodes the inside of a string that stands at start.
func (s *jsonScanner) unquote(raw []byte, start int) string {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '\\':
			r, size := unescape(raw[i:])
			if size == 0 {
				s.failAt(start+i, "an escape sequence")
				return ""
			}
			out = utf8.AppendRune(out, r)
			i += size
		case c < utf8.RuneSelf:
			out = append(out, c)
			i++
		default:
			r, size := utf8.DecodeRune(raw[i:])
			if r == utf8.RuneError && size == 1 {
				s.failAt(start+i, "a character in UTF-8")
				return ""
			}
			out = append(out, raw[i:i+size]...)
			i += size
		}
	}
	return string(out)
}

// unescape decodes an escape sequence at the start of raw; its size is 0 when
// there is none. Half a surrogate pair stands for U+FFFD.
func unescape(raw []byte) (r rune, size int) {
	if len(raw) < 2 {
		return 0, 0
	}
	switch raw[1] {
	case '"', '\\', '/':
		return rune(raw[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		first, ok := hex4(raw[2:])
		if !ok {
			return 0, 0
		}
		if first < 0xD800 || first > 0xDFFF {
			return first, 6
		}
		if len(raw) >= 12 && raw[6] == '\\' && raw[7] == 'u' && first < 0xDC00 {
			if second, ok := hex4(raw[8:]); ok && second >= 0xDC00 && second <= 0xDFFF {
				return 0x10000 + (first-0xD800)<<10 + (second - 0xDC00), 12
			}
		}
		return utf8.RuneError, 6
	}
	return 0, 0
}

func hex4(raw []byte) (rune, bool) {
	if len(raw) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(raw[:4]), 16, 16)
	return rune(n), err == nil
}

// number reads a number and returns its text.
func (s *jsonScanner) number(what string) string {
	start := s.pos
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		s.failAt(start, what)
		return ""
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			s.fail("a digit")
			return ""
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			s.fail("a digit")
			return ""
		}
	}
	return string(s.data[start:s.pos])
}

// peek returns the byte at the position, 0 at the end.
func (s *jsonScanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *jsonScanner) digits() bool {
	start := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos > start
}

// word consumes a literal such as null.
func (s *jsonScanner) word(word string) bool {
	if len(s.data)-s.pos < len(word) || string(s.data[s.pos:s.pos+len(word)]) != word {
		return false
	}
	s.pos += len(word)
	return true
}
