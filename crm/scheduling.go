package crm

import "pveha/crm/usage"

// SchedulerMode says by what the best node for a service is chosen.
type SchedulerMode string

// The scheduler modes (datacenter.cfg, crs: ha).
const (
	SchedulerBasic   SchedulerMode = "basic"   // number of services
	SchedulerStatic  SchedulerMode = "static"  // configured CPU and memory
	SchedulerDynamic SchedulerMode = "dynamic" // used CPU and memory
)

// Scheduling is the cluster-wide choice of how services are placed, read anew
// in every round.
type Scheduling struct {
	Mode             SchedulerMode
	RebalanceOnStart bool // choose the best node when a service starts
	AutoRebalance    AutoRebalance
}

// AutoRebalance moves running services when the nodes are loaded unevenly.
type AutoRebalance struct {
	Enabled   bool
	Threshold float64 // imbalance to exceed
	Hold      int     // rounds in a row in which it must be exceeded
	Margin    float64 // least relative improvement worth a migration
	Method    usage.Method
}

// DefaultScheduling is what an empty datacenter.cfg means.
func DefaultScheduling() Scheduling {
	return Scheduling{
		Mode: SchedulerBasic,
		AutoRebalance: AutoRebalance{
			Threshold: 0.3,
			Hold:      3,
			Margin:    0.1,
			Method:    usage.BruteForce,
		},
	}
}
