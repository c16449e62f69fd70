package sim

import (
	"fmt"
	"regexp"
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
	actionSetStatic      = "set-static-stats"
	actionSetDyn         = "set-dynamic-stats"
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

var (
	delayPattern = regexp.MustCompile(`^delay\s+(\d+)\s*$`)
	skipPattern  = regexp.MustCompile(`^skip-round\s+(lrm|crm)(?:\s+(\d+))?\s*$`)
)

// ParseCommand checks a command's words. Whether nodes and services exist is
// up to the scenario or the cluster it is meant for.
func ParseCommand(text string) (Command, error) {
	cmd := Command{Text: text}
	if m := delayPattern.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		cmd.Verb, cmd.Number = VerbDelay, n
		return cmd, wrapCommand(text, err)
	}
	if m := skipPattern.FindStringSubmatch(text); m != nil {
		cmd.Verb, cmd.Action, cmd.Number = VerbSkipRound, m[1], 1
		if m[2] == "" {
			return cmd, nil
		}
		n, err := strconv.Atoi(m[2])
		cmd.Number = n
		return cmd, wrapCommand(text, err)
	}
	words := strings.Fields(text)
	if len(words) < 2 {
		return cmd, wrapCommand(text, fmt.Errorf("a command needs a verb and a node or service"))
	}
	cmd.Verb = Verb(words[0])
	if len(words) > 2 {
		cmd.Action, cmd.Args = words[2], words[3:]
	}
	if cmd.Verb == VerbService {
		sid, err := ha.ParseSID(words[1])
		if err != nil {
			return cmd, wrapCommand(text, err)
		}
		cmd.SID = sid
		return cmd, wrapCommand(text, checkServiceAction(cmd))
	}
	cmd.Node = words[1]
	return cmd, wrapCommand(text, checkNodeAction(cmd))
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

func checkNodeAction(c Command) error {
	switch c.Verb {
	case VerbPower, VerbNetwork:
		return oneOf("state", c.Action, "on", "off")
	case VerbCFS:
		if err := oneOf("what", c.Action, "rw", "update"); err != nil {
			return err
		}
		return oneOf("state", c.arg(0), "work", "fail")
	case VerbVersion:
		if err := oneOf("action", c.Action, "set"); err != nil {
			return err
		}
		if c.arg(0) == "" {
			return fmt.Errorf("missing version")
		}
		return nil
	case VerbReboot, VerbShutdown, VerbRestartLRM:
		return nil
	case VerbCRM:
		err := oneOf("action", c.Action, "stop", "start",
			"enable-node-maintenance", "disable-node-maintenance", "disarm-ha", "arm-ha")
		if err == nil && c.Action == "disarm-ha" {
			err = oneOf("mode", c.arg(0), string(ha.DisarmFreeze), string(ha.DisarmIgnore))
		}
		return err
	case VerbService, VerbDelay, VerbSkipRound:
	}
	return fmt.Errorf("unknown command %q", c.Verb)
}

func checkServiceAction(c Command) error {
	switch c.Action {
	case "started", "stopped", "disabled", "ignored", "lock", "unlock", "delete":
		return nil
	case "migrate", "relocate", "manual-migrate", "add":
		if c.arg(0) == "" {
			return fmt.Errorf("missing node")
		}
		return nil
	case "stop":
		if c.arg(0) == "" {
			return fmt.Errorf("missing timeout")
		}
		return nil
	case actionSetStatic:
		_, err := statValues(c, "maxcpu", "maxmem")
		return err
	case actionSetDyn:
		_, err := statValues(c, "cpu", "mem")
		return err
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
		if err != nil || v < 0 {
			return nil, fmt.Errorf("value of %s is %q, want a number", c.Args[i], c.Args[i+1])
		}
		values[c.Args[i]] = v
	}
	return values, nil
}
