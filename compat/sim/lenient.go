package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
)

// json decodes a file of the scenario. Errors name file, line and column.
func (p *parser) json(file string, into any) error {
	data := p.files[file]
	err := json.Unmarshal(data, into)
	if err == nil {
		return nil
	}
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%s:%s: %w", file, position(data, syntax.Offset), err)
	case errors.As(err, &typ):
		where := ""
		if typ.Field != "" {
			where = " for " + typ.Field
		}
		return fmt.Errorf("%s:%s: %s%s, want %s", file, position(data, typ.Offset), typ.Value, where, jsonKind(typ.Type))
	}
	return fmt.Errorf("%s: %w", file, err)
}

// position returns line and column, from 1, of the last of the bytes that were
// read before an error.
func position(data []byte, read int64) string {
	at := int(min(max(read-1, 0), int64(len(data))))
	line := 1 + bytes.Count(data[:at], []byte("\n"))
	column := at - bytes.LastIndexByte(data[:at], '\n')
	return fmt.Sprintf("%d:%d", line, column)
}

func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Slice:
		return "array"
	default:
		return "object"
	}
}

// lenient is a JSON value that Perl programs write in several ways. It is
// looked into when it is known what it should be.
type lenient = json.RawMessage

func oneLine(v lenient) []byte { return bytes.Join(bytes.Fields(v), []byte(" ")) }

// absent tells whether there is no value.
func absent(v lenient) bool { return len(v) == 0 || string(v) == "null" }

// number reads a number, or a string that holds one; nil where there is none.
// The first value that is neither is kept as the error of the parser.
func (p *parser) number(file, what string, v lenient) *float64 {
	if absent(v) {
		return nil
	}
	n, err := strconv.ParseFloat(string(bytes.Trim(v, `"`)), 64)
	if err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n) {
		p.fail("%s: %s is %s, want a number", file, what, oneLine(v))
	}
	return &n
}

// count is like number for whole numbers, with a default.
func (p *parser) count(file, what string, v lenient, without int) int {
	n := p.number(file, what, v)
	if n == nil {
		return without
	}
	if *n != math.Trunc(*n) || *n > math.MaxInt32 {
		p.fail("%s: %s is %s, want a whole number", file, what, oneLine(v))
		return without
	}
	return int(*n)
}

// truth reads a boolean: true and false, 1 and 0, "1", "0" and "".
func (p *parser) truth(file, what string, v lenient, without bool) bool {
	if absent(v) {
		return without
	}
	switch string(v) {
	case "true", "1", `"1"`, `"true"`:
		return true
	case "false", "0", `"0"`, `""`:
	default:
		p.fail("%s: %s is %s, want true or false", file, what, oneLine(v))
	}
	return false
}

// check keeps an error of a file.
func (p *parser) check(file string, err error) {
	if err != nil {
		p.fail("%s: %w", file, err)
	}
}

// fail keeps the first error.
func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}
