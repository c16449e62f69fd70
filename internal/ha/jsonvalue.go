package ha

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
)

// This file reads single values leniently: the Perl stack writes a number
// now as a number and now as a string, and a boolean as 1, 0, "" or not at
// all. A value null counts as absent.

// null consumes a null.
func (s *jsonScanner) null() bool { return s.next() == 'n' && s.word("null") }

// scalar reads a string, number or boolean as text; true is "1", false is "0".
func (s *jsonScanner) scalar(what string) string {
	switch s.next() {
	case '"':
		return s.text(what)
	case 't':
		if s.word("true") {
			return "1"
		}
	case 'f':
		if s.word("false") {
			return "0"
		}
	case 'n':
		if s.word("null") {
			return ""
		}
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return s.number(what)
	}
	s.fail(what)
	return ""
}

// boolean reads a truth value: "", "0", 0, false and null are false.
func (s *jsonScanner) boolean(what string) bool {
	text := s.scalar(what)
	return text != "" && text != "0"
}

// integer reads a whole number, or a fraction that is cut to one. A text that
// is no number is a failure: to take it for 0 could mean success.
func (s *jsonScanner) integer(what string) int64 {
	s.next()
	start := s.pos
	if s.null() {
		return 0
	}
	text := s.scalar(what)
	if s.err != nil {
		return 0
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) >= 1<<63 {
		s.failAt(start, what)
		return 0
	}
	return int64(f)
}

// texts reads a list of scalars; null is no list.
func (s *jsonScanner) texts(what string) []string {
	if s.null() {
		return nil
	}
	list := []string{}
	s.list(what, func() { list = append(list, s.scalar(what)) })
	return list
}

// extra reads any value for a key that this version does not know into extra.
func (s *jsonScanner) extra(extra *map[string]json.RawMessage, key string) {
	s.next()
	value := s.canonical(nil, 1)
	if s.err != nil {
		return
	}
	if *extra == nil {
		*extra = map[string]json.RawMessage{}
	}
	(*extra)[key] = value
}

// canonical appends any value in the form in which it is written: compact,
// keys sorted and each one once. depth counts the objects and lists around it.
func (s *jsonScanner) canonical(out []byte, depth int) []byte {
	switch s.next() {
	case '{', '[':
		if depth >= maxJSONDepth {
			s.fail("a value that is not nested that deep")
			return out
		}
		if s.peek() == '[' {
			return s.canonicalList(out, depth+1)
		}
		return s.canonicalObject(out, depth+1)
	case '"':
		return appendJSONString(out, s.text("a string"))
	case 't':
		if s.word("true") {
			return append(out, "true"...)
		}
	case 'f':
		if s.word("false") {
			return append(out, "false"...)
		}
	case 'n':
		if s.word("null") {
			return append(out, "null"...)
		}
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return append(out, s.number("a number")...)
	}
	s.fail("a value")
	return out
}

func (s *jsonScanner) canonicalList(out []byte, depth int) []byte {
	out = append(out, '[')
	first := true
	s.list("values", func() {
		if !first {
			out = append(out, ',')
		}
		first = false
		out = s.canonical(out, depth)
	})
	return append(out, ']')
}

func (s *jsonScanner) canonicalObject(out []byte, depth int) []byte {
	values := map[string][]byte{}
	s.object("any keys", func(key string) { values[key] = s.canonical(nil, depth) })
	out = append(out, '{')
	for i, key := range slices.Sorted(maps.Keys(values)) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendJSONString(out, key), ':')
		out = append(out, values[key]...)
	}
	return append(out, '}')
}
