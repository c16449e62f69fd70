package hactl

import "context"

// completion says what can stand for a value.
type completion string

const (
	completeSID       completion = "sid"        // configured resources
	completeNewSID    completion = "new sid"    // guests that are none yet
	completeGroup     completion = "group"      // groups
	completeRule      completion = "rule"       // rules
	completeNode      completion = "node"       // nodes
	completeOtherNode completion = "other node" // nodes but this one
	completeCommand   completion = "command"    // first words of commands
)

func (q *Query) completeOldWay(context.Context, []string) error { return nil }
