package pmxcfsio_test

import (
	"fmt"
	"time"
)

// deed is what happened to a lock, as recorded.
type deed string

const (
	deedStart   deed = "start"   // pmxcfs carried out a mkdir: the lock is the node's
	deedRefresh deed = "refresh" // pmxcfs carried out a utime
	deedRemove  deed = "remove"  // pmxcfs carried out a rmdir
	deedHold    deed = "hold"    // the process believes to have it until a time
	deedAct     deed = "act"     // the process did what only the holder may
	deedLeave   deed = "leave"   // the process believes no more to have it
)

// record is one line of a history.
type record struct {
	at    time.Duration
	node  int
	deed  deed
	until time.Duration // of deedHold
}

// history checks a recorded history of one lock as it is written, and keeps
// the last of it to show.
type history struct {
	margin time.Duration // for how long after a refresh the holder acts

	last   [24]record
	n      int
	claims map[int]record // by node: the last deedHold
	owner  int            // the node whose folder it is; -1: none
	fresh  time.Duration  // when the owner made or refreshed it last
	count  map[deed]int
	stolen int // takeovers of expired locks
}

func newHistory() *history {
	return &history{margin: lifetime, claims: map[int]record{}, owner: -1, count: map[deed]int{}}
}

// add takes in what happened and returns what is wrong with it.
func (h *history) add(r record) error {
	h.last[h.n%len(h.last)] = r
	h.n++
	h.count[r.deed]++
	switch r.deed {
	case deedStart:
		if h.owner >= 0 && h.owner != r.node {
			h.stolen++
			if age := r.at - h.fresh; age < h.margin {
				return h.wrong("node %d took the lock %v after node %d refreshed it", r.node, age, h.owner)
			}
		}
		h.owner, h.fresh = r.node, r.at
	case deedRefresh:
		if h.owner != r.node {
			return h.wrong("node %d refreshed the lock of node %d", r.node, h.owner)
		}
		h.fresh = r.at
	case deedRemove:
		if h.owner != r.node {
			return h.wrong("node %d removed the lock of node %d", r.node, h.owner)
		}
		h.owner = -1
	case deedHold:
		h.claims[r.node] = r
	case deedLeave:
		delete(h.claims, r.node)
	case deedAct:
		for node, c := range h.claims {
			if node != r.node && c.until-lifetime+h.margin > r.at {
				return h.wrong("node %d acts while node %d may act until %v", r.node, node, c.until)
			}
		}
	}
	return nil
}

func (h *history) wrong(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	for i := max(0, h.n-len(h.last)); i < h.n; i++ {
		r := h.last[i%len(h.last)]
		text += fmt.Sprintf("\n%14v node %d %-8s", r.at, r.node, r.deed)
		if r.deed == deedHold {
			text += fmt.Sprintf(" until %v", r.until)
		}
	}
	return fmt.Errorf("%s", text)
}
