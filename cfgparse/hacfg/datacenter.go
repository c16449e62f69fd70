package hacfg

import (
	"strconv"

	"pveha/cfgparse"
	"pveha/internal/ha"
)

// Datacenter is what HA needs of datacenter.cfg.
type Datacenter struct {
	HA         HASettings
	CRS        *CRSSettings // nil when the file has no such line
	Fencing    FencingMode  // "" when not given: watchdog
	MaxWorkers int          // guest tasks at a time on a node; 0 when not given: DefaultMaxWorkers
	Migration  *Migration   // nil when the file says nothing of it
}

// DefaultMaxWorkers stands for an absent max_workers.
const DefaultMaxWorkers = 4

// HASettings is the line "ha".
type HASettings struct {
	ShutdownPolicy ha.ShutdownPolicy // "" when not given: conditional
}

// FencingMode says what fences a node (fencing).
type FencingMode string

// The fencing modes.
const (
	FencingWatchdog FencingMode = "watchdog"
	FencingHardware FencingMode = "hardware"
	FencingBoth     FencingMode = "both"
)

// SchedulerMode says what the load of a node is measured by (crs: ha).
type SchedulerMode string

// The scheduler modes.
const (
	SchedulerBasic   SchedulerMode = "basic"   // number of services
	SchedulerStatic  SchedulerMode = "static"  // configured CPUs and memory
	SchedulerDynamic SchedulerMode = "dynamic" // use of CPUs and memory
)

// BalanceMethod says how migrations for balance are scored
// (crs: ha-auto-rebalance-method).
type BalanceMethod string

// The balance methods.
const (
	BalanceBruteforce BalanceMethod = "bruteforce"
	BalanceTopsis     BalanceMethod = "topsis"
)

// CRSSettings is the line "crs", the settings of the cluster resource
// scheduler. What is nil or "" is not given in the file.
type CRSSettings struct {
	Mode             SchedulerMode
	RebalanceOnStart *bool
	AutoRebalance    *bool
	Threshold        *float64 // imbalance that starts balancing
	Method           BalanceMethod
	HoldDuration     *float64 // rounds that the imbalance must last
	Margin           *float64 // smallest relative gain of a migration
}

// Migration is the line "migration": how guests travel between nodes.
type Migration struct {
	Type    string // secure or insecure
	Network string // CIDR, "" when not given
}

// ParseDatacenter reads datacenter.cfg. Every property of the file is checked,
// and a problem returned for each that fails; what HA does not need is dropped
// then. file is the name by which the problems call the file.
func ParseDatacenter(file string, raw []byte) (*Datacenter, []Problem) {
	values, problems := cfgparse.ReadKeyValues(datacenterProperties, file, raw)
	dc := &Datacenter{Fencing: FencingMode(values["fencing"])}
	// Out of range, Atoi returns the largest int, which is as good as any.
	dc.MaxWorkers, _ = strconv.Atoi(values["max_workers"])
	if text, ok := values["crs"]; ok {
		if text == "" {
			problems = append(problems, otherProblem(file, "crs",
				"ignoring empty 'crs:' line in datacenter.cfg\n"))
		} else {
			dc.CRS = newCRSSettings(text)
		}
	}
	if settings, err := haFormat.Parse("ha", values["ha"]); err == nil {
		dc.HA.ShutdownPolicy = ha.ShutdownPolicy(settings["shutdown_policy"])
	}
	problems = append(problems, dc.readMigration(file, values)...)
	return dc, problems
}

func otherProblem(file, key, warning string) Problem {
	list := cfgparse.NewProblemList(file, 1)
	list.Add(cfgparse.Other, 0, "", key, warning)
	return list.Problems[0]
}

func newCRSSettings(text string) *CRSSettings {
	values, _ := crsFormat.Parse("crs", text)
	return &CRSSettings{
		Mode:             SchedulerMode(values["ha"]),
		RebalanceOnStart: booleanOf(values, "ha-rebalance-on-start"),
		AutoRebalance:    booleanOf(values, "ha-auto-rebalance"),
		Threshold:        numberOf(values, "ha-auto-rebalance-threshold"),
		Method:           BalanceMethod(values["ha-auto-rebalance-method"]),
		HoldDuration:     numberOf(values, "ha-auto-rebalance-hold-duration"),
		Margin:           numberOf(values, "ha-auto-rebalance-margin"),
	}
}

func booleanOf(values map[string]string, key string) *bool {
	text, ok := values[key]
	if !ok {
		return nil
	}
	on := text == "1"
	return &on
}

func numberOf(values map[string]string, key string) *float64 {
	text, ok := values[key]
	if !ok {
		return nil
	}
	number, _ := strconv.ParseFloat(text, 64) // checked before
	return &number
}

// readMigration reads the line "migration" and its forerunner, the flag
// "migration_unsecure", which counts only where the line gives no type.
func (dc *Datacenter) readMigration(file string, values map[string]string) []Problem {
	if text := values["migration"]; text != "" {
		parts, _ := migrationFormat.Parse("migration", text)
		dc.Migration = &Migration{Type: parts["type"], Network: parts["network"]}
	}
	unsecure, ok := values["migration_unsecure"]
	switch {
	case !ok:
	case dc.Migration != nil:
		return []Problem{otherProblem(file, "migration_unsecure",
			"deprecated setting 'migration_unsecure' and new 'migration: type' set at same time! Ignore 'migration_unsecure'\n")}
	case unsecure == "1":
		dc.Migration = &Migration{Type: "insecure"}
	default:
		dc.Migration = &Migration{Type: "secure"}
	}
	return nil
}
