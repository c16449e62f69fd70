package formats

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// plain turns a value built here into what the same value looks like when it
// is read from JSON.
func plain(value any) any {
	switch v := value.(type) {
	case nil:
		return nil
	case int:
		return json.Number(fmt.Sprint(v))
	case []string:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return list
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for key := range v {
			object[key] = plain(v[key])
		}
		return object
	}
	return value
}

// compare appends the places where got differs from want.
func compare(differences []string, place string, want, got any) []string {
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			return compareObjects(differences, place, w, g)
		}
	case []any:
		if g, ok := got.([]any); ok {
			return compareLists(differences, place, w, g)
		}
	}
	if wantText, gotText := show(want), show(got); wantText != gotText {
		differences = append(differences, fmt.Sprintf("%s: want %s, got %s", place, wantText, gotText))
	}
	return differences
}

func compareObjects(differences []string, place string, want, got map[string]any) []string {
	keys := map[string]bool{}
	for key := range want {
		keys[key] = true
	}
	for key := range got {
		keys[key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		at := place + "." + key
		w, wanted := want[key]
		g, found := got[key]
		switch {
		case !found:
			differences = append(differences, fmt.Sprintf("%s: want %s, got nothing", at, show(w)))
		case !wanted:
			differences = append(differences, fmt.Sprintf("%s: want nothing, got %s", at, show(g)))
		default:
			differences = compare(differences, at, w, g)
		}
	}
	return differences
}

func compareLists(differences []string, place string, want, got []any) []string {
	for i := range max(len(want), len(got)) {
		at := fmt.Sprintf("%s[%d]", place, i)
		switch {
		case i >= len(got):
			differences = append(differences, fmt.Sprintf("%s: want %s, got nothing", at, show(want[i])))
		case i >= len(want):
			differences = append(differences, fmt.Sprintf("%s: want nothing, got %s", at, show(got[i])))
		default:
			differences = compare(differences, at, want[i], got[i])
		}
	}
	return differences
}

func show(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprintf("%#v", value)
	}
	return string(text)
}

// unorder brings lists, and the items of lists inside of a text, into a fixed
// order.
func unorder(value any) any {
	switch v := value.(type) {
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = unorder(v[i])
		}
		sort.Slice(list, func(i, j int) bool { return show(list[i]) < show(list[j]) })
		return list
	case string:
		lines := strings.Split(v, "\n")
		for i := range lines {
			items := strings.FieldsFunc(lines[i], func(r rune) bool { return strings.ContainsRune(" \t,", r) })
			slices.Sort(items)
			lines[i] = strings.Join(items, " ")
		}
		return strings.Join(lines, "\n")
	}
	return value
}

// byValue writes numbers that stand as text in the shortest form: the Perl
// stack keeps "007" as it is until it computes with it.
func byValue(value any) any {
	switch v := value.(type) {
	case map[string]any:
		object := make(map[string]any, len(v))
		for key := range v {
			object[key] = byValue(v[key])
		}
		return object
	case string:
		if number, err := strconv.ParseFloat(v, 64); err == nil {
			return show(number)
		}
	}
	return value
}
