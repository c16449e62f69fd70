package cli

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
)

// exceptionFile lists where the Perl command does something that is an
// accident, one JSON object a line.
//
//go:embed exceptions.jsonl
var exceptionFile []byte

// exception is one place where ours differs on purpose.
type exception struct {
	ID     string `json:"id"`
	Field  field  `json:"field"`
	Reason string `json:"reason"`
}

// exceptions are the places by recording.
type exceptions map[string][]exception

func loadExceptions() (exceptions, error) { return parseExceptions(exceptionFile) }

func parseExceptions(data []byte) (exceptions, error) {
	list := exceptions{}
	for number, line := range bytes.Split(data, []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var e exception
		err := json.Unmarshal(line, &e)
		if err == nil && (e.ID == "" || e.Reason == "") {
			err = errors.New("an exception needs an id and a reason")
		}
		for _, other := range list[e.ID] {
			if other.Field == e.Field {
				err = errors.New("an exception is listed twice")
			}
		}
		if err != nil {
			return nil, fmt.Errorf("exceptions.jsonl:%d: %w", number+1, err)
		}
		list[e.ID] = append(list[e.ID], e)
	}
	return list, nil
}

// judge returns the differences that are no exceptions, and one for each
// exception that was not needed.
func (list exceptions) judge(id string, differences []difference) []difference {
	needed := map[field]bool{}
	var wrong []difference
	for _, d := range differences {
		needed[d.field] = true
		if !list.has(id, d.field) && !d.leftover {
			wrong = append(wrong, d)
		}
	}
	for _, e := range list[id] {
		if !needed[e.Field] {
			wrong = append(wrong, difference{field: e.Field, text: fmt.Sprintf("%s: does not differ, but is listed as an exception", e.Field)})
		}
	}
	return wrong
}

func (list exceptions) has(id string, f field) bool {
	for _, e := range list[id] {
		if e.Field == f {
			return true
		}
	}
	return false
}
