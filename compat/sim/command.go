package sim

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"pveha/internal/ha"
)

// Verb is what a command of the scenario language does.
type Verb string

// The verbs.
const (
	VerbPower       Verb = "power"               // NODE on|off
	VerbNetwork     Verb = "network"             // NODE on|off
	VerbCFS         Verb = "cfs"                 // NODE rw|update work|fail
	VerbVersion     Verb = "pve-manager-version" // NODE set VERSION
	VerbReboot      Verb = "reboot"              // NODE
	VerbShutdown    Verb = "shutdown"            // NODE
	VerbRestartLRM  Verb = "restart-lrm"         // NODE
	VerbCRM         Verb = "crm"                 // NODE stop|start|enable-node-maintenance|disable-node-maintenance|disarm-ha MODE|arm-ha
	VerbService     Verb = "service"             // SID ACTION ...
	VerbDelay       Verb = "delay"               // SECONDS
	VerbSkipRound   Verb = "skip-round"          // crm|lrm [ROUNDS]
	VerbAt          Verb = "at"                  // SECONDS: first in a step that has its time
	VerbEnd         Verb = "end"                 // last in a scenario that says when it ends
	VerbRule        Verb = "rule"                // add TYPE ID KEY=VALUE... | set ID KEY=VALUE... | delete ID
	VerbGroup       Verb = "group"               // add ID KEY=VALUE... | set ID KEY=VALUE... | delete ID
	VerbDatacenter  Verb = "datacenter"          // set KEY=VALUE...
	actionSetStatic      = "set-static-stats"
	actionSetDyn         = "set-dynamic-stats"
	actionSet            = "set"
	actionFail           = "fail"
)

// Command is one checked command of a scenario.
type Command struct {
	Text   string // as it was given; the log shows it
	Verb   Verb
	Node   string   // of commands for a node
	SID    ha.SID   // of commands for a service
	Action string   // second argument, where there is one
	Args   []string // the rest
	Number int      // seconds of a delay, rounds of a skip-round
}

// extends reports whether a command is one that the Perl stack's simulator does
// not have.
func (c Command) extends() bool {
	switch c.Verb {
	case VerbAt, VerbEnd, VerbRule, VerbGroup, VerbDatacenter:
		return true
	case VerbService:
		return c.Action == actionSet || c.Action == actionFail
	case VerbPower, VerbNetwork, VerbCFS, VerbVersion, VerbReboot, VerbShutdown,
		VerbRestartLRM, VerbCRM, VerbDelay, VerbSkipRound:
	}
	return false
}

// ParseCommand checks a command's words. Whether nodes and services exist is
// up to the scenario or the cluster it is meant for.
func ParseCommand(text string) (Command, error) {
	cmd := Command{Text: text}
	words := strings.Fields(text)
	if text == string(VerbEnd) {
		cmd.Verb = VerbEnd
		return cmd, nil
	}
	if len(words) < 2 {
		return cmd, wrapCommand(text, errors.New("a command needs a verb and what it is for"))
	}
	cmd.Verb = Verb(words[0])
	if len(words) > 2 {
		cmd.Action, cmd.Args = words[2], words[3:]
	}
	var err error
	switch cmd.Verb {
	case VerbDelay, VerbAt:
		cmd.Number, err = parseCount("seconds", words[1])
		if err == nil && len(words) > 2 {
			err = fmt.Errorf("%q is too much", words[2])
		}
	case VerbSkipRound:
		err = cmd.parseSkip(words[1:])
	case VerbService:
		if cmd.SID, err = ha.ParseSID(words[1]); err == nil {
			err = checkServiceAction(cmd)
		}
	case VerbPower, VerbNetwork, VerbCFS, VerbVersion, VerbReboot, VerbShutdown, VerbRestartLRM, VerbCRM:
		cmd.Node = words[1]
		err = checkNodeAction(cmd)
	case VerbRule, VerbGroup, VerbDatacenter:
		cmd.Action, cmd.Args = words[1], words[2:]
		err = checkConfigAction(cmd)
	case VerbEnd:
		err = fmt.Errorf("%q is too much", words[1])
	default:
		err = fmt.Errorf("unknown verb %q", cmd.Verb)
	}
	return cmd, wrapCommand(text, err)
}

func (c *Command) parseSkip(words []string) (err error) {
	c.Action, c.Args, c.Number = words[0], nil, 1
	if err := oneOf("daemon", c.Action, "crm", "lrm"); err != nil {
		return err
	}
	if len(words) > 1 {
		c.Number, err = parseCount("rounds", words[1])
	}
	if err == nil && len(words) > 2 {
		err = fmt.Errorf("%q is too much", words[2])
	}
	return err
}

func parseCount(what, text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("number of %s is %q, want a whole number", what, text)
	}
	return int(n), nil
}

func wrapCommand(text string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("command %q: %w", text, err)
}

// arg returns an argument, "" where it is missing.
func (c Command) arg(i int) string {
	if i < len(c.Args) {
		return c.Args[i]
	}
	return ""
}

func oneOf(what, got string, allowed ...string) error {
	if slices.Contains(allowed, got) {
		return nil
	}
	return fmt.Errorf("%s is %q, want %s", what, got, strings.Join(allowed, ", "))
}

// wants checks that the words behind the action are there, by name, and that
// no more follow; the last ones may be left out.
func (c Command) wants(names []string, optional int) error {
	switch {
	case len(c.Args) < len(names)-optional:
		return fmt.Errorf("missing %s", names[len(c.Args)])
	case len(c.Args) > len(names):
		return fmt.Errorf("%q is too much", c.Args[len(names)])
	}
	return nil
}

func checkNodeAction(c Command) error {
	var err error
	var names []string // of the words behind the action
	switch c.Verb {
	case VerbPower, VerbNetwork:
		err = oneOf("state", c.Action, "on", "off")
	case VerbCFS:
		names = []string{"state"}
		if err = oneOf("what", c.Action, "rw", "update"); err == nil {
			err = oneOf("state", c.arg(0), "work", "fail")
		}
	case VerbVersion:
		names = []string{"version"}
		err = oneOf("action", c.Action, "set")
	case VerbReboot, VerbShutdown, VerbRestartLRM:
		if c.Action != "" {
			err = fmt.Errorf("%q is too much", c.Action)
		}
	case VerbCRM:
		err = oneOf("action", c.Action, "stop", "start",
			"enable-node-maintenance", "disable-node-maintenance", "disarm-ha", "arm-ha")
		if err == nil && c.Action == "disarm-ha" {
			names = []string{"mode"}
			err = oneOf("mode", c.arg(0), string(ha.DisarmFreeze), string(ha.DisarmIgnore))
		}
	case VerbService, VerbDelay, VerbSkipRound, VerbAt, VerbEnd, VerbRule, VerbGroup, VerbDatacenter:
		// no commands for a node
	}
	if err != nil {
		return err
	}
	return c.wants(names, 0)
}

func checkServiceAction(c Command) error {
	switch c.Action {
	case "started", "stopped", "disabled", "ignored", "delete":
		return c.wants(nil, 0)
	case "lock", "unlock":
		return c.wants([]string{"lock"}, 1)
	case "migrate", "relocate", "manual-migrate":
		return c.wants([]string{"node"}, 0)
	case "add":
		if err := c.wants([]string{"node", "state", "whether it runs"}, 2); err != nil {
			return err
		}
		if len(c.Args) > 2 {
			if err := oneOf("whether it runs", c.Args[2], "0", "1"); err != nil {
				return err
			}
		}
		return nil
	case "stop":
		return c.wants([]string{"timeout"}, 0)
	case actionSetStatic:
		_, err := statValues(c, "maxcpu", "maxmem")
		return err
	case actionSetDyn:
		_, err := statValues(c, "cpu", "mem")
		return err
	case actionSet:
		_, err := serviceSettings(c)
		return err
	case actionFail:
		return checkFail(c)
	}
	return fmt.Errorf("unknown action %q for a service", c.Action)
}

// statValues reads the pairs of figure and value of a command that sets
// statistics: CPU in cores, memory in MiB.
func statValues(c Command, cpu, mem string) (map[string]float64, error) {
	if len(c.Args) == 0 || len(c.Args)%2 != 0 {
		return nil, fmt.Errorf("%s wants pairs of figure and value", c.Action)
	}
	values := map[string]float64{}
	for i := 0; i < len(c.Args); i += 2 {
		if err := oneOf("figure", c.Args[i], cpu, mem); err != nil {
			return nil, err
		}
		v, err := strconv.ParseFloat(c.Args[i+1], 64)
		if err != nil || v < 0 || math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, fmt.Errorf("value of %s is %q, want a number", c.Args[i], c.Args[i+1])
		}
		values[c.Args[i]] = v
	}
	return values, nil
}
