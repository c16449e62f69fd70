// Package rules applies the affinity rules of rules.cfg: which nodes a service
// may use and prefers (node affinity), and which services stay together or
// apart (resource affinity).
//
// Rules are read by cfgparse/hacfg. Check finds those that cannot be kept in
// every state of the cluster, Transform drops them and adds what the rest
// implies, Compile turns the outcome into look-ups for the placement of
// services. Groups, the forerunners of node affinity rules, become rules in
// memory with MigrateGroups.
//
// A rule with a disable line takes no part, whatever the value of the line.
// Whenever the outcome depends on the order in which rules are looked at, the
// order is that of their IDs.
package rules
