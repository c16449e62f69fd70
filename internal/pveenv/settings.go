package pveenv

import (
	"fmt"
	"math"

	"pveha/cfgparse/hacfg"
	"pveha/crm"
	"pveha/crm/usage"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

func (n *node) datacenterConfig() (*hacfg.Datacenter, error) {
	raw, err := n.read(pmxcfsio.DatacenterFile)
	if err != nil {
		return nil, err
	}
	return n.datacenter.parsed(raw, func(raw []byte) (*hacfg.Datacenter, error) {
		dc, problems := hacfg.ParseDatacenter(pmxcfsio.DatacenterFile, raw)
		n.warn(problems)
		return dc, nil
	})
}

// Scheduling returns the cluster's choice of how services are placed.
func (c *CRM) Scheduling() (crm.Scheduling, error) {
	dc, err := c.datacenterConfig()
	if err != nil {
		// Not the defaults, as in the original: a master must not change its
		// scheduler for the length of an outage.
		return crm.Scheduling{}, fmt.Errorf("unable to get HA settings from datacenter.cfg - %w", err)
	}
	return scheduling(dc.CRS), nil
}

// scheduling fills in the defaults of what is not given. Threshold and margin
// are taken as they stand, as fractions, like in version 5.2.0 of the original.
func scheduling(given *hacfg.CRSSettings) crm.Scheduling {
	s := crm.DefaultScheduling()
	if given == nil {
		return s
	}
	if given.Mode != "" {
		s.Mode = crm.SchedulerMode(given.Mode)
	}
	if given.Method != "" {
		s.AutoRebalance.Method = usage.Method(given.Method)
	}
	set(&s.RebalanceOnStart, given.RebalanceOnStart)
	set(&s.AutoRebalance.Enabled, given.AutoRebalance)
	set(&s.AutoRebalance.Threshold, given.Threshold)
	set(&s.AutoRebalance.Margin, given.Margin)
	if given.HoldDuration != nil {
		s.AutoRebalance.Hold = int(math.Ceil(*given.HoldDuration))
	}
	return s
}

func set[T any](field *T, given *T) {
	if given != nil {
		*field = *given
	}
}

// ShutdownPolicy is what is to happen to the services when the node shuts
// down.
func (l *LRM) ShutdownPolicy() (ha.ShutdownPolicy, error) {
	dc, err := l.datacenterConfig()
	if err != nil {
		return "", err
	}
	if dc.HA.ShutdownPolicy == "" {
		return ha.PolicyConditional, nil
	}
	return dc.HA.ShutdownPolicy, nil
}

// MaxWorkers is how many orders may run at once.
func (l *LRM) MaxWorkers() (int, error) {
	dc, err := l.datacenterConfig()
	if err != nil {
		return 0, err
	}
	if dc.MaxWorkers == 0 {
		return hacfg.DefaultMaxWorkers, nil
	}
	return dc.MaxWorkers, nil
}
