// Package hacfg gives the files of the HA stack a type: resources.cfg,
// groups.cfg, rules.cfg, fence.cfg, and what HA needs of datacenter.cfg, with
// their defaults and checks.
package hacfg
