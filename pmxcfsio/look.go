package pmxcfsio

import (
	"bytes"
	"context"
	"errors"
	"slices"
)

// countedFiles are the files of the HA stack whose changes pmxcfs counts.
var countedFiles = []string{
	DatacenterFile, CommandsFile, FenceFile, GroupsFile, ManagerStatusFile, ResourcesFile, RulesFile,
}

// looker compares the cluster file system with what it was at the last look.
type looker struct {
	fs      *FS
	nodes   func() []string
	awaits  func() string
	journal bool // it tells of changes

	lost     bool
	garbled  int    // looks in a row that made no sense
	text     []byte // of the change counters
	versions Versions
	quorate  bool
	node     string            // the local one; "" while unknown
	statuses map[string]status // by node
	turn     int               // whose status is read next
	skipped  int               // looks since any was read in turn
}

// status is the content of a file that is compared.
type status struct {
	present bool
	content []byte
}

func newLooker(f *FS, cfg WatchConfig) *looker {
	l := &looker{fs: f, nodes: cfg.Nodes, awaits: cfg.Awaits, statuses: map[string]status{}, lost: true}
	if l.nodes == nil {
		l.nodes = func() []string { return nil }
	}
	if l.awaits == nil {
		l.awaits = func() string { return "" }
	}
	return l
}

// look returns what changed since the last look.
func (l *looker) look(ctx context.Context, why hint) []Event {
	awaited, gone := l.lookAtAwaited(ctx)
	if awaited != "" && !gone && why != noHint && !l.lost {
		return nil
	}
	quorate, text, v, err := l.counters(ctx, why)
	switch {
	case err != nil:
		return l.miss(ctx, err)
	case l.lost || v.StartTime != l.versions.StartTime:
		why |= journalHint
	}
	changes := l.compare(ctx, v)
	if quorate != l.quorate {
		changes = append(changes, Event{Change: QuorumChanged})
	}
	if gone {
		changes = append(changes, Event{FileChanged, awaited})
	}
	l.lost, l.garbled, l.quorate, l.text, l.versions = false, 0, quorate, text, v
	return append(changes, l.lookAtStatuses(ctx, why)...)
}

// lookAtAwaited returns what the owner waits for, and whether it is gone.
func (l *looker) lookAtAwaited(ctx context.Context) (name string, gone bool) {
	if name = l.awaits(); name == "" {
		return "", false
	}
	m := l.fs.mount
	present, err := bound(ctx, m, m.read, func() (bool, error) { return m.Present(name) }, nil)
	return name, err == nil && !present
}

// miss is a look at nothing. A text in pieces that do not fit together comes
// whole at the next look.
func (l *looker) miss(ctx context.Context, err error) []Event {
	if errors.Is(err, ErrGarbled) {
		if l.garbled++; l.garbled < garbledTries {
			return nil
		}
	}
	if l.lost || ctx.Err() != nil {
		return nil
	}
	l.lost = true
	return []Event{{Change: MountLost}}
}

// counters reads the change counters, and the quorum, whose changes they do
// not count. Mostly they are what they were. The journal tells of no quorum, so
// that it is left alone where pmxcfs itself says that it is there.
func (l *looker) counters(ctx context.Context, why hint) (quorate bool, text []byte, v Versions, err error) {
	text, err = l.fs.ask(ctx, func(ctx context.Context) ([]byte, error) { return l.fs.cfg.IPC.Versions(ctx) })
	quorate = l.quorate
	if unanswered := errors.Is(err, errUnanswered); unanswered || err == nil && (l.lost || why != journalHint) {
		var now localView
		if now, err = l.local(ctx, unanswered); unanswered {
			text = now.counters
		}
		quorate = now.quorate
	}
	if err != nil {
		return false, nil, v, err
	}
	v = l.versions
	if l.lost || !bytes.Equal(text, l.text) {
		if v, err = parseVersions(text); err != nil {
			err = &fault{ErrGarbled, err}
		}
	}
	return quorate, text, v, err
}

// localView is what the mount itself tells.
type localView struct {
	quorate  bool
	counters []byte
}

// local looks at the mount, and reads the counters there if need be.
func (l *looker) local(ctx context.Context, counters bool) (localView, error) {
	m := l.fs.mount
	return bound(ctx, m, m.read, func() (v localView, err error) {
		info, err := m.checkMounted()
		v.quorate = info.Mode&writeBit != 0
		if err == nil && counters {
			v.counters, err = m.ReadFile(versionFile)
		}
		return v, err
	}, nil)
}

// compare finds which counters changed. After a loss or a restart they all
// count as changed.
func (l *looker) compare(ctx context.Context, v Versions) []Event {
	var changes []Event
	anew := l.lost || v.StartTime != l.versions.StartTime
	if anew {
		changes = append(changes, Event{Change: MountBack})
		if m, err := l.fs.Members(ctx); err == nil {
			l.node = m.Node
		}
	}
	if anew || v.Members != l.versions.Members {
		changes = append(changes, Event{Change: MembersChanged})
	}
	if anew || v.Guests != l.versions.Guests {
		changes = append(changes, Event{Change: GuestsChanged})
	}
	for _, name := range countedFiles {
		if anew || v.Files[name] != l.versions.Files[name] {
			changes = append(changes, Event{FileChanged, name})
		}
	}
	return changes
}

// To read a status costs as much as the counters. Where the journal tells of
// changes it is a mere precaution without a hint.
const (
	statusesPerLook  = 2 // read in turn
	looksPerStatuses = 6 // with a journal: looks until some are read
)

// lookAtStatuses reads and compares the status files of LRMs: all when the
// journal was written, the local one when it was, and else some in turn.
func (l *looker) lookAtStatuses(ctx context.Context, why hint) []Event {
	nodes := l.nodes()
	chosen := nodes
	switch {
	case len(nodes) == 0:
		return nil
	case why&journalHint != 0:
	case why&localHint != 0 && slices.Contains(nodes, l.node):
		chosen = []string{l.node}
	default:
		if l.skipped++; l.journal && l.skipped < looksPerStatuses {
			return nil
		}
		l.skipped = 0
		chosen = l.inTurn(nodes)
	}
	var changes []Event
	for _, node := range chosen {
		if l.changed(ctx, node) {
			changes = append(changes, Event{FileChanged, LRMStatusFile(node)})
		}
	}
	return changes
}

// inTurn returns the nodes whose turn it is. Of a small cluster that is all but
// the local one, whose file is watched.
func (l *looker) inTurn(nodes []string) []string {
	others := slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return n == l.node })
	if len(others) <= statusesPerLook {
		return others
	}
	var chosen []string
	for range statusesPerLook {
		chosen = append(chosen, others[l.turn%len(others)])
		l.turn = (l.turn + 1) % len(others)
	}
	return chosen
}

// changed reads the status of a node's LRM and reports whether it is another
// than before. The first one is not.
func (l *looker) changed(ctx context.Context, node string) bool {
	content, err := l.fs.Read(ctx, LRMStatusFile(node))
	if err != nil && !errors.Is(err, ErrAbsent) {
		return false // the next look tells what is wrong
	}
	now := status{present: err == nil, content: content}
	before, known := l.statuses[node]
	l.statuses[node] = now
	return known && (before.present != now.present || !bytes.Equal(before.content, now.content))
}
