package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"pveha/internal/ha"
)

// serviceEdit is what a command changes in a service's configuration; nil
// stands for what stays.
type serviceEdit struct {
	group                   *string
	failback                *bool
	maxRestart, maxRelocate *int
}

// serviceSettings reads the words of "service SID set KEY=VALUE...".
func serviceSettings(c Command) (serviceEdit, error) {
	var e serviceEdit
	s, err := parseSettings(c.Args)
	if err != nil {
		return e, err
	}
	for _, key := range slices.Sorted(maps.Keys(s)) {
		value := s[key]
		switch key {
		case "group":
			e.group = &value
		case "failback":
			on := value != "0"
			e.failback, err = &on, oneOf("value", value, "", "0", "1")
		case "max_restart":
			var n int
			n, err = parseWhole(value, ha.DefaultMaxRestart)
			e.maxRestart = &n
		case "max_relocate":
			var n int
			n, err = parseWhole(value, ha.DefaultMaxRelocate)
			e.maxRelocate = &n
		default:
			err = errors.New("no such property of a service")
		}
		if err != nil {
			return e, fmt.Errorf("%s: %w", key, err)
		}
	}
	return e, nil
}

func (c *Cluster) setService(cmd Command, g *guest) error {
	e, err := serviceSettings(cmd)
	if err != nil {
		return err
	}
	if e.group != nil {
		g.Group = *e.group
	}
	if e.failback != nil {
		g.Failback = *e.failback
	}
	if e.maxRestart != nil {
		g.MaxRestart = *e.maxRestart
	}
	if e.maxRelocate != nil {
		g.MaxRelocate = *e.maxRelocate
	}
	return nil
}

// failAlways stands for every try of an action.
const failAlways = "always"

// checkFail checks the words of "service SID fail ACTION TRIES|always".
func checkFail(c Command) error {
	if err := c.wants([]string{"action", "tries"}, 0); err != nil {
		return err
	}
	if err := oneOf("action", c.Args[0], "start", "stop", "migrate"); err != nil {
		return err
	}
	if c.Args[1] == failAlways {
		return nil
	}
	_, err := parseCount("tries", c.Args[1])
	return err
}

// fail lets the next tries of an action fail: a number of them, 0 for none, or
// all; checkFail has checked the words.
func (g *guest) fail(action, tries string) {
	n := -1
	if tries != failAlways {
		n, _ = parseCount("tries", tries)
	}
	failures := maps.Clone(g.failures)
	if failures == nil {
		failures = map[string]int{}
	}
	failures[action] = n
	if n == 0 {
		delete(failures, action)
	}
	g.failures = failures
}

// failsNow reports whether this try of an action is to fail, and counts it.
func (g *guest) failsNow(action string) bool {
	n := g.failures[action]
	if n > 0 {
		g.fail(action, fmt.Sprint(n-1))
	}
	return n != 0
}
