package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"pveha/cfgparse/hacfg"
	"pveha/crm"
	"pveha/crm/usage"
	"pveha/internal/ha"
)

// Commands that change the configuration of the cluster, as the command line
// and the web interface of a real one would. The Perl stack's simulator has
// none of them.

// Actions on a rule or a group.
const (
	actionAdd    = "add"
	actionDelete = "delete"
)

// settings are the words KEY=VALUE of a command. An empty value takes a
// property away.
type settings map[string]string

func parseSettings(words []string) (settings, error) {
	s := settings{}
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		switch _, twice := s[key]; {
		case !ok || key == "":
			return nil, fmt.Errorf("%q is not KEY=VALUE", word)
		case twice:
			return nil, fmt.Errorf("%q is given twice", key)
		}
		s[key] = value
	}
	if len(s) == 0 {
		return nil, errors.New("nothing to set")
	}
	return s, nil
}

// change is the edit of a section that the settings mean.
func (s settings) change() hacfg.Change {
	c := hacfg.Change{Set: map[string]string{}}
	for _, key := range slices.Sorted(maps.Keys(s)) {
		if s[key] == "" {
			c.Delete = append(c.Delete, key)
		} else {
			c.Set[key] = s[key]
		}
	}
	return c
}

// checkConfigAction checks the words of a command for rules, groups or the
// settings of the cluster, as far as that is possible without knowing them.
func checkConfigAction(c Command) error {
	if c.Verb == VerbDatacenter {
		if err := oneOf("action", c.Action, actionSet); err != nil {
			return err
		}
		s, err := parseSettings(c.Args)
		if err != nil {
			return err
		}
		return (&datacenter{}).apply(s)
	}
	before := 1 // words before the settings
	switch c.Action {
	case actionAdd:
		if c.Verb == VerbRule {
			before = 2
		}
	case actionSet:
	case actionDelete:
		return c.wants([]string{"ID"}, 0)
	default:
		return oneOf("action", c.Action, actionAdd, actionSet, actionDelete)
	}
	if len(c.Args) < before {
		return fmt.Errorf("missing %s", []string{"ID", "type and ID"}[before-1])
	}
	_, err := parseSettings(c.Args[before:])
	return err
}

// executeConfig changes rules, groups or the settings of the cluster. After an
// error all is as it was.
func (c *Cluster) executeConfig(cmd Command) error {
	switch cmd.Verb {
	case VerbRule:
		raw, err := editRules(c.cfs.rules, cmd)
		if err != nil {
			return err
		}
		c.cfs.rules = raw
	case VerbGroup:
		raw, err := editGroups(c.cfs.groups, cmd)
		if err != nil {
			return err
		}
		c.cfs.groups = raw
	case VerbDatacenter:
		s, err := parseSettings(cmd.Args)
		if err != nil {
			return err
		}
		d := datacenter{c.scheduling, c.shutdownPolicy, c.maxWorkers}
		if err := d.apply(s); err != nil {
			return err
		}
		c.scheduling, c.shutdownPolicy, c.maxWorkers = d.scheduling, d.policy, d.maxWorkers
	case VerbPower, VerbNetwork, VerbCFS, VerbVersion, VerbReboot, VerbShutdown, VerbRestartLRM, VerbCRM,
		VerbService, VerbDelay, VerbSkipRound, VerbAt, VerbEnd: // they change no configuration
	}
	return nil
}

func editRules(raw []byte, cmd Command) ([]byte, error) {
	r, _ := hacfg.ParseRules(fileRules, raw)
	var err error
	switch cmd.Action {
	case actionAdd:
		var s settings
		if s, err = parseSettings(cmd.Args[2:]); err == nil {
			err = r.Add(cmd.Args[1], hacfg.RuleType(cmd.Args[0]), s)
		}
	case actionSet:
		var s settings
		if s, err = parseSettings(cmd.Args[1:]); err == nil {
			err = r.Change(cmd.Args[0], s.change())
		}
	case actionDelete:
		if !r.Remove(cmd.Args[0]) {
			err = fmt.Errorf("HA rule '%s' does not exist", cmd.Args[0])
		}
	}
	if err != nil {
		return nil, err
	}
	return r.Write()
}

func editGroups(raw []byte, cmd Command) ([]byte, error) {
	g, _ := hacfg.ParseGroups(fileGroups, raw)
	id := cmd.Args[0]
	var err error
	switch cmd.Action {
	case actionAdd:
		var s settings
		if s, err = parseSettings(cmd.Args[1:]); err == nil {
			err = g.Add(id, s)
		}
	case actionSet:
		var s settings
		if s, err = parseSettings(cmd.Args[1:]); err == nil {
			err = g.Change(id, s.change())
		}
	case actionDelete:
		if !g.Remove(id) {
			err = fmt.Errorf("no such ha group '%s'", id)
		}
	}
	if err != nil {
		return nil, err
	}
	return g.Write()
}

// datacenter is what datacenter.cfg says of HA.
type datacenter struct {
	scheduling crm.Scheduling
	policy     ha.ShutdownPolicy
	maxWorkers int
}

// maxMaxWorkers is more workers than a node could use, to refuse slips.
const maxMaxWorkers = 1000

// apply takes over settings by the names they have in datacenter.cfg; those of
// the line "crs" stand by themselves. An empty value restores the default.
func (d *datacenter) apply(s settings) error {
	for _, key := range slices.Sorted(maps.Keys(s)) {
		if err := d.set(key, s[key]); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

func (d *datacenter) set(key, value string) (err error) {
	def, auto := crm.DefaultScheduling(), &d.scheduling.AutoRebalance
	switch key {
	case "ha":
		return choose(&d.scheduling.Mode, value, def.Mode, crm.SchedulerStatic, crm.SchedulerDynamic)
	case "ha-rebalance-on-start":
		d.scheduling.RebalanceOnStart, err = parseFlag(value)
	case "ha-auto-rebalance":
		auto.Enabled, err = parseFlag(value)
	case "ha-auto-rebalance-threshold":
		auto.Threshold, err = parseFigure(value, def.AutoRebalance.Threshold)
	case "ha-auto-rebalance-margin":
		auto.Margin, err = parseFigure(value, def.AutoRebalance.Margin)
	case "ha-auto-rebalance-hold-duration":
		auto.Hold, err = parseWhole(value, def.AutoRebalance.Hold)
	case "ha-auto-rebalance-method":
		return choose(&auto.Method, value, def.AutoRebalance.Method, usage.TOPSIS)
	case "shutdown_policy":
		return choose(&d.policy, value, ha.PolicyConditional, ha.PolicyFreeze, ha.PolicyFailover, ha.PolicyMigrate)
	case "max_workers":
		if d.maxWorkers, err = parseWhole(value, 0); d.maxWorkers > maxMaxWorkers {
			err = fmt.Errorf("value is %q, want at most %d", value, maxMaxWorkers)
		}
	default:
		err = errors.New("no such setting")
	}
	return err
}

// choose sets a value that is one of a few words; "" stands for the first.
func choose[T ~string](into *T, value string, words ...T) error {
	if value == "" {
		*into = words[0]
		return nil
	}
	if !slices.Contains(words, T(value)) {
		return fmt.Errorf("value is %q, want one of %q", value, words)
	}
	*into = T(value)
	return nil
}

func parseFlag(value string) (bool, error) {
	if value == "" {
		return false, nil
	}
	return value == "1", oneOf("value", value, "0", "1")
}

// maxFigure is the largest threshold or margin that datacenter.cfg allows.
const maxFigure = 100

func parseFigure(value string, without float64) (float64, error) {
	if value == "" {
		return without, nil
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || !(f >= 0 && f <= maxFigure) {
		return without, fmt.Errorf("value is %q, want a number from 0 to %d", value, maxFigure)
	}
	return f, nil
}

func parseWhole(value string, without int) (int, error) {
	if value == "" {
		return without, nil
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return without, fmt.Errorf("value is %q, want a whole number", value)
	}
	return int(n), nil
}

// TryConfig returns the files of the affinity rules and the groups as they
// would be after a command that changes them.
func (c *Cluster) TryConfig(cmd Command) (rules, groups []byte, err error) {
	rules, groups = c.Config()
	switch cmd.Verb {
	case VerbRule:
		rules, err = editRules(rules, cmd)
	case VerbGroup:
		groups, err = editGroups(groups, cmd)
	case VerbPower, VerbNetwork, VerbCFS, VerbVersion, VerbReboot, VerbShutdown, VerbRestartLRM, VerbCRM,
		VerbService, VerbDelay, VerbSkipRound, VerbAt, VerbEnd, VerbDatacenter:
		err = wrapCommand(cmd.Text, errors.New("it changes neither rules nor groups"))
	}
	return rules, groups, err
}
