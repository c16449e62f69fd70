package cfgparse

import (
	"bytes"
	"maps"
	"slices"
	"strings"
)

// ReadKeyValues reads a file of lines "KEY: VALUE", such as datacenter.cfg,
// against the list of its properties. It returns the values that passed their
// checks, booleans as "1" and "0", and the problems: lines that are no
// property first, then properties by name. The last line with a key is the one
// that counts.
func ReadKeyValues(properties []Property, file string, raw []byte) (map[string]string, []Problem) {
	values := map[string]string{}
	lines := map[string]int{}
	problems := NewProblemList(file, bytes.Count(raw, []byte("\n"))+1)
	eachLine(string(raw), func(number int, line string) {
		if line[0] == '#' {
			return
		}
		key, value, ok := splitKeyValue(line)
		if !ok {
			problems.Add(IgnoredSetting, number, "", "", line)
			return
		}
		if p := PropertyString(properties).property(key); p != nil && p.Type == Boolean {
			value = normalBoolean(value)
		}
		values[key], lines[key] = value, number
	})
	failures := checkObject(properties, "", values)
	for _, key := range slices.Sorted(maps.Keys(failures)) {
		problems.Add(Other, lines[key], "", key, "parse error in '"+file+"' - '"+key+"': "+failures[key]+"\n")
		delete(values, key)
	}
	return values, problems.Problems
}

// eachLine calls f for every line that is not empty, without the white space
// around it. In a file of nothing but white space the last character that is
// no line feed passes for a line.
func eachLine(text string, f func(number int, line string)) {
	if blank := trimLeft(text) == ""; blank {
		end := len(strings.TrimRight(text, "\n"))
		if end > 0 {
			f(strings.Count(text[:end], "\n")+1, text[end-1:end])
		}
		return
	}
	for number := 1; text != ""; number++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if line = trimLeft(trimRight(line)); line != "" {
			f(number, line)
		}
	}
}

// splitKeyValue cuts at the first colon that has a key before it; no white
// space may stand in the key.
func splitKeyValue(line string) (key, value string, ok bool) {
	colon := strings.IndexByte(line[1:], ':') + 1
	if colon == 0 {
		return "", "", false
	}
	key = line[:colon]
	if word, _ := cutWord(key); word != key {
		return "", "", false
	}
	return key, trimLeft(line[colon+1:]), true
}
