package hacfg

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"pveha/cfgparse"
	"pveha/internal/ha"
)

// Problem is something in a file that was not taken over, and why.
type Problem = cfgparse.Problem

// maxComment is the longest comment in bytes, as it stands in the file.
const maxComment = 4096

// checkConfigID accepts a letter and, behind it, one or more letters, digits,
// '_' and '-'.
func checkConfigID(id string) error {
	ok := len(id) >= 2 && isLetter(id[0])
	for i := 1; ok && i < len(id); i++ {
		ok = isLetter(id[i]) || isDigit(id[i]) || id[i] == '_' || id[i] == '-'
	}
	if !ok {
		return configIDError(id)
	}
	return nil
}

// configIDError is the ID that was refused. A file can be full of them.
type configIDError string

func (e configIDError) Error() string { return "invalid configuration ID '" + string(e) + "'" }

var errVMID = errors.New("invalid VMID")

// checkVMID accepts two or more digits, the first one not 0.
func checkVMID(name string) error {
	if len(name) < 2 || name[0] == '0' || !allDigits(name) {
		return errVMID
	}
	return nil
}

// checkResourceID accepts a resource type in lower-case letters, a colon, and
// a name without white space.
func checkResourceID(sid string) error {
	if _, err := ha.ParseSID(sid); err != nil {
		return errors.New("value does not look like a valid ha resource id")
	}
	return nil
}

// checkNodeEntry accepts a node name with or without a priority behind it.
func checkNodeEntry(entry string) error {
	if _, _, ok := cutNodeEntry(entry); !ok {
		return errors.New("value does not look like a valid ha node")
	}
	return nil
}

// forList makes a check of one item a check of a list, which may be empty.
func forList(check func(string) error) func(string) error {
	return func(list string) error {
		for _, item := range cfgparse.SplitList(list) {
			if err := check(item); err != nil {
				return err
			}
		}
		return nil
	}
}

// ParseNodePriority takes an entry NODE or NODE:PRIORITY of a node list apart.
// A node without a priority has priority 0. A priority beyond the range of int
// becomes the largest int.
func ParseNodePriority(entry string) (node string, priority int, err error) {
	node, digits, ok := cutNodeEntry(entry)
	if !ok {
		return "", 0, fmt.Errorf("unable to parse HA node entry '%s'", entry)
	}
	priority, _ = parsePriority(digits)
	return node, priority, nil
}

// parsePriority returns the value of a node's priority; without digits it is
// 0. One that int cannot hold becomes the largest int, and huge is how it is
// written.
func parsePriority(digits string) (priority int, huge string) {
	if digits == "" {
		return 0, ""
	}
	priority, err := strconv.Atoi(digits)
	if err != nil {
		return math.MaxInt, cfgparse.NormalInteger(digits)
	}
	return priority, ""
}

// cutNodeEntry splits a node entry; digits is "" when it has no priority.
func cutNodeEntry(entry string) (node, digits string, ok bool) {
	// A line feed at the end of an entry is no harm, and none in a node list.
	if n := len(entry); n > 0 && entry[n-1] == '\n' {
		entry = entry[:n-1]
	}
	end := 0
	for end < len(entry) && (isLetter(entry[end]) || isDigit(entry[end]) || entry[end] == '-') {
		end++
	}
	node = entry[:end]
	if node == "" || node[0] == '-' || node[end-1] == '-' {
		return "", "", false
	}
	if end == len(entry) {
		return node, "", true
	}
	digits = entry[end+1:]
	if entry[end] != ':' || digits == "" || !allDigits(digits) {
		return "", "", false
	}
	return node, digits, true
}

func isLetter(c byte) bool { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// flag returns the value of a boolean property, nil when the section does not
// have it.
func flag(entry *cfgparse.Entry, key string) *bool {
	value, ok := entry.Get(key)
	if !ok {
		return nil
	}
	on := value == "1"
	return &on
}

func setFlag(entry *cfgparse.Entry, key string, value *bool) {
	if value == nil {
		return
	}
	if *value {
		entry.Set(key, "1")
	} else {
		entry.Set(key, "0")
	}
}

func setText(entry *cfgparse.Entry, key, value string) {
	if value != "" {
		entry.Set(key, value)
	}
}
