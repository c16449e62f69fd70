package hactl

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"pveha/cfgparse"
)

// kind is the type of an option's value.
type kind string

const (
	kindString  kind = "string"
	kindBoolean kind = "boolean"
	kindInteger kind = "integer"
	kindArray   kind = "array"
)

// option is one option, or one argument, of a command.
type option struct {
	name     string
	kind     kind
	help     string
	typetext string // how help shows the values; "" for what follows from the rest
	preset   string // what help shows as the default
	required bool
	enum     []string
	natural  bool // an integer of 0 or more
	maxChars int  // characters of the value; 0 for any
	format   *format
	complete completion
	new      bool // not in the Perl command
}

// format is the form that a text must have.
type format struct {
	list  bool // several values, separated by commas, semicolons or white space
	check func(string) error
}

var (
	patternSID      = regexp.MustCompile(`^[a-z]+:[^\t\n\v\f\r ]+$`)
	patternVMID     = regexp.MustCompile(`^[0-9]+$`)
	patternConfigID = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]+$`)
	patternNode     = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$`)
	patternHANode   = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(:[0-9]+)?$`)
	patternInteger  = regexp.MustCompile(`^[+-]?[0-9]+$`)
)

// matches tells whether value, a line feed at its end aside, has the pattern.
func matches(pattern *regexp.Regexp, value string) bool {
	return pattern.MatchString(strings.TrimSuffix(value, "\n"))
}

var (
	errNotSID    = errors.New("value does not look like a valid ha resource id")
	errNotNode   = errors.New("value does not look like a valid node name")
	errNotHANode = errors.New("value does not look like a valid ha node")
)

func checkSID(value string) error {
	if !matches(patternSID, value) {
		return errNotSID
	}
	return nil
}

func checkSIDOrVMID(value string) error {
	if !matches(patternSID, value) && !matches(patternVMID, value) {
		return errNotSID
	}
	return nil
}

func checkConfigID(value string) error {
	if !matches(patternConfigID, value) {
		return fmt.Errorf("invalid configuration ID '%s'", value)
	}
	return nil
}

func checkNode(value string) error {
	if !matches(patternNode, value) {
		return errNotNode
	}
	return nil
}

func checkHANode(value string) error {
	if !matches(patternHANode, value) {
		return errNotHANode
	}
	return nil
}

var (
	formatSID         = &format{check: checkSIDOrVMID}
	formatSIDs        = &format{list: true, check: checkSID}
	formatConfigID    = &format{check: checkConfigID}
	formatConfigIDs   = &format{list: true, check: checkConfigID}
	formatNode        = &format{check: checkNode}
	formatNodes       = &format{list: true, check: checkNode}
	formatHANodes     = &format{list: true, check: checkHANode}
	resourceTypes     = []string{"ct", "vm"}
	ruleTypes         = []string{"node-affinity", "resource-affinity"}
	wordsTrue         = []string{"1", "on", "yes", "true"}
	wordsFalse        = []string{"0", "off", "no", "false"}
	errUnreadableBool = misuse("unable to parse boolean option")
)

func (f *format) verify(value string) error {
	if !f.list {
		return f.check(value)
	}
	for _, item := range cfgparse.SplitList(value) {
		if err := f.check(item); err != nil {
			return err
		}
	}
	return nil
}

// verify returns what is wrong with a value, "" if nothing is.
func (o *option) verify(value string) string {
	if o.kind == kindInteger && !matches(patternInteger, value) {
		return fmt.Sprintf("type check ('integer') failed - got '%s'", value)
	}
	if o.format != nil {
		if err := o.format.verify(value); err != nil {
			return "invalid format - " + err.Error() + "\n"
		}
	}
	if o.maxChars > 0 && utf8.RuneCountInString(value) > o.maxChars {
		return fmt.Sprintf("value may only be %d characters long", o.maxChars)
	}
	if o.natural {
		if n, err := strconv.ParseFloat(strings.TrimSuffix(value, "\n"), 64); err == nil && n < 0 {
			return "value must have a minimum value of 0"
		}
	}
	if len(o.enum) > 0 && !slices.Contains(o.enum, value) {
		return fmt.Sprintf("value '%s' does not have a value in the enumeration '%s'", value, strings.Join(o.enum, ", "))
	}
	return ""
}

// parseBoolean reads the words for true and false.
func parseBoolean(value string) (on, ok bool) {
	word := strings.ToLower(strings.TrimSuffix(value, "\n"))
	switch {
	case slices.Contains(wordsTrue, word):
		return true, true
	case slices.Contains(wordsFalse, word):
		return false, true
	}
	return false, false
}
