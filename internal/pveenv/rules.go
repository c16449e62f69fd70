package pveenv

import (
	"context"
	"fmt"

	"pveha/cfgparse/hacfg"
	"pveha/pmxcfsio"
)

// warned is a file whose problems were logged, so that they are logged again
// only when it has changed.
type warned struct {
	known bool
	raw   string
}

func (w *warned) isNew(raw []byte) bool {
	if w.known && w.raw == string(raw) {
		return false
	}
	w.known, w.raw = true, string(raw)
	return true
}

// Rules returns the affinity rules.
func (c *CRM) Rules() (*hacfg.Rules, error) {
	raw, err := c.read(pmxcfsio.RulesFile)
	if err != nil {
		return nil, err
	}
	rules, problems := hacfg.ParseRules(pmxcfsio.RulesFile, raw)
	if c.rules.isNew(raw) {
		c.warn(problems)
	}
	return rules, nil
}

// WriteRules replaces the affinity rules.
func (c *CRM) WriteRules(r *hacfg.Rules) error {
	text, err := r.Write()
	if err != nil {
		return err
	}
	return c.domain(func(ctx context.Context) error {
		return c.fs.Write(ctx, pmxcfsio.RulesFile, text)
	})
}

// Groups returns the groups of a cluster that has not replaced them by rules.
func (c *CRM) Groups() (*hacfg.Groups, error) {
	raw, err := c.read(pmxcfsio.GroupsFile)
	if err != nil {
		return nil, err
	}
	groups, problems := hacfg.ParseGroups(pmxcfsio.GroupsFile, raw)
	if c.groups.isNew(raw) {
		c.warn(problems)
	}
	return groups, nil
}

// DeleteGroups removes the groups.
func (c *CRM) DeleteGroups() error {
	return c.domain(func(ctx context.Context) error {
		if err := c.fs.Remove(ctx, pmxcfsio.GroupsFile); err != nil {
			return fmt.Errorf("failed to remove group config: %w", err)
		}
		return nil
	})
}
