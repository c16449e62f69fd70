package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// json decodes a file of the scenario. Errors name file, line and column.
func (p *parser) json(file string, into any) error {
	data := p.files[file]
	err := json.Unmarshal(data, into)
	if err == nil {
		return nil
	}
	offset := int64(-1)
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &typ):
		offset = typ.Offset
	}
	if offset < 0 || offset > int64(len(data)) {
		return fmt.Errorf("%s: %w", file, err)
	}
	before := data[:offset]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - (bytes.LastIndexByte(before, '\n') + 1)
	return fmt.Errorf("%s:%d:%d: %w", file, line, column, err)
}

// number is a JSON number, or a string that holds one.
type number float64

func (n *number) UnmarshalJSON(data []byte) error {
	text := string(bytes.Trim(data, `"`))
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("%s is not a number", data)
	}
	*n = number(v)
	return nil
}

func (n *number) value() *float64 {
	if n == nil {
		return nil
	}
	v := float64(*n)
	return &v
}

// truth is a boolean in one of the forms that Perl programs write: true and
// false, 1 and 0, "1", "0" and "".
type truth bool

func (t *truth) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case "true", "1", `"1"`, `"true"`:
		*t = true
	case "false", "0", `"0"`, `""`, "null":
		*t = false
	default:
		return fmt.Errorf("%s is neither true nor false", data)
	}
	return nil
}

// orTrue is the value, true where there is none.
func (t *truth) orTrue() bool { return t == nil || bool(*t) }
