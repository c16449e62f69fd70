package ha

import (
	"encoding/json"
	"maps"
)

// LRMStatus is the content of nodes/NODE/lrm_status, written by the LRM of
// that node.
type LRMStatus struct {
	State     LRMState
	Mode      LRMMode
	Timestamp Epoch             // time of writing
	Results   map[string]Result // by the UID of the order

	Extra map[string]json.RawMessage // keys this version does not know
}

// Result is the outcome of one order of the CRM.
type Result struct {
	SID      SID
	State    ServiceState // the order
	ExitCode ExitCode

	Extra map[string]json.RawMessage
}

// Clone returns a copy that shares nothing with l.
func (l *LRMStatus) Clone() *LRMStatus {
	c := *l
	c.Results = maps.Clone(l.Results)
	for uid, r := range c.Results {
		r.Extra = maps.Clone(r.Extra)
		c.Results[uid] = r
	}
	c.Extra = maps.Clone(l.Extra)
	return &c
}
