package hactl

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pveha/cfgparse"
	"pveha/cfgparse/hacfg"
	"pveha/crm/rules"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// finding is a problem of a file.
type finding struct {
	file string
	line int // 0: of the file as a whole
	text string
}

// linter collects the problems of all files of the HA stack.
type linter struct {
	q        *Query
	findings []finding

	resources *hacfg.Resources
	groups    *hacfg.Groups
	rules     *hacfg.Rules
	guests    map[string]Guest
	nodes     []string
	sections  map[string]map[string]int // file, section ID: line of its header
}

// lint is the command "lint".
func lint(ctx context.Context, q *Query, _ params) error {
	l := &linter{q: q, sections: map[string]map[string]int{}}
	if err := l.run(ctx); err != nil {
		return err
	}
	l.sort()
	for _, f := range l.findings {
		place := path(f.file)
		if f.line > 0 {
			place = fmt.Sprintf("%s:%d", place, f.line)
		}
		fmt.Fprintf(q.Stdio.Out, "%s: %s\n", place, f.text)
	}
	if len(l.findings) > 0 {
		fmt.Fprintf(q.Stdio.Err, "%d problems\n", len(l.findings))
		return &exitError{exitProblem}
	}
	return nil
}

// sort brings the problems of a file together, in the order of its lines. The
// files stay in the order in which they were looked at.
func (l *linter) sort() {
	order := map[string]int{}
	for _, f := range l.findings {
		if _, ok := order[f.file]; !ok {
			order[f.file] = len(order)
		}
	}
	slices.SortStableFunc(l.findings, func(a, b finding) int {
		return cmp.Or(cmp.Compare(order[a.file], order[b.file]), cmp.Compare(a.line, b.line))
	})
}

func (l *linter) add(file string, line int, format string, args ...any) {
	l.findings = append(l.findings, finding{file: file, line: line, text: fmt.Sprintf(format, args...)})
}

func (l *linter) run(ctx context.Context) (err error) {
	if l.guests, err = l.q.Cluster.Guests(ctx); err != nil {
		return fmt.Errorf("cannot list the guests: %w", err)
	}
	if l.nodes, err = l.q.Cluster.Nodes(ctx); err != nil {
		return fmt.Errorf("cannot list the nodes: %w", err)
	}
	if !slices.Contains(l.nodes, l.q.Host.Node()) {
		l.nodes = append(l.nodes, l.q.Host.Node())
	}
	for _, check := range []func(context.Context) error{
		l.checkResources, l.checkGroups, l.checkRules, l.checkFence, l.checkDatacenter,
		l.checkManager, l.checkCommands, l.checkLRMs,
	} {
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// lintConfig reads a section-config file and notes its problems and where its
// sections are.
func lintConfig[T any](
	ctx context.Context, l *linter, file string, parse func(string, []byte) (T, []hacfg.Problem),
	id func(cfgparse.Section) string,
) (T, error) {
	data, err := l.q.read(ctx, file)
	if err != nil {
		var none T
		return none, err
	}
	parsed, problems := parse(path(file), data)
	for i := range problems {
		l.problem(file, &problems[i])
	}
	l.sections[file] = map[string]int{}
	for _, section := range cfgparse.Parse(data).Sections {
		name := id(section)
		if first, ok := l.sections[file][name]; ok {
			l.add(file, section.Header, "section '%s' takes the place of the one in line %d", name, first)
		}
		l.sections[file][name] = section.Header
	}
	return parsed, nil
}

func (l *linter) problem(file string, p *hacfg.Problem) {
	message := p.Message()
	switch p.Kind {
	case cfgparse.IgnoredLine, cfgparse.IgnoredSetting, cfgparse.IgnoredFenceLine:
	case cfgparse.SkippedSection, cfgparse.BrokenSection:
		message = fmt.Sprintf("section '%s' is ignored: %s", p.Section(), message)
	case cfgparse.BadValue:
		message = fmt.Sprintf("'%s' of section '%s' is ignored: %s", p.Key(), p.Section(), message)
	case cfgparse.Other:
		message = strings.TrimPrefix(message, "parse error in '"+path(file)+"' - ")
	}
	l.add(file, p.Line(), "%s", strings.Join(strings.Fields(message), " "))
}

func sectionID(s cfgparse.Section) string { return s.ID }

func resourceID(s cfgparse.Section) string { return strings.ToLower(s.Type) + ":" + s.ID }

func (l *linter) checkResources(ctx context.Context) (err error) {
	const file = pmxcfsio.ResourcesFile
	if l.resources, err = lintConfig(ctx, l, file, hacfg.ParseResources, resourceID); err != nil {
		return err
	}
	for _, sid := range slices.Sorted(maps.Keys(l.resources.ByID)) {
		line := l.sections[file][string(sid)]
		guest, ok := l.guests[sid.Name()]
		typ, _ := resourceType(guest.Type)
		switch {
		case !ok:
			l.add(file, line, "resource '%s' has no guest", sid)
		case typ != sid.Type():
			l.add(file, line, "resource '%s': guest %s is of type %s", sid, sid.Name(), typ)
		}
	}
	return nil
}

func (l *linter) checkGroups(ctx context.Context) (err error) {
	const file = pmxcfsio.GroupsFile
	if l.groups, err = lintConfig(ctx, l, file, hacfg.ParseGroups, sectionID); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(l.groups.ByID)) {
		for _, entry := range l.groups.ByID[id].Nodes {
			if node, _, err := hacfg.ParseNodePriority(entry); err == nil && !slices.Contains(l.nodes, node) {
				l.add(file, l.sections[file][id], "group '%s' names node '%s', which is not in the cluster", id, node)
			}
		}
	}
	for _, sid := range slices.Sorted(maps.Keys(l.resources.ByID)) {
		line := l.sections[pmxcfsio.ResourcesFile][string(sid)]
		group := l.resources.ByID[sid].Group
		switch {
		case group == "" || l.groups.ByID[group] != nil:
		case groupsMigrated(l.groups):
			l.add(pmxcfsio.ResourcesFile, line, "resource '%s' names group '%s', but groups have become rules", sid, group)
		default:
			l.add(pmxcfsio.ResourcesFile, line, "resource '%s' names group '%s', which does not exist", sid, group)
		}
	}
	return nil
}

func (l *linter) checkRules(ctx context.Context) (err error) {
	const file = pmxcfsio.RulesFile
	if l.rules, err = lintConfig(ctx, l, file, hacfg.ParseRules, sectionID); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(l.rules.ByID)) {
		rule, line := l.rules.ByID[id], l.sections[file][id]
		for _, sid := range slices.Sorted(maps.Keys(rule.Resources)) {
			if l.resources.ByID[sid] == nil {
				l.add(file, line, "rule '%s' names resource '%s', which is not under HA", id, sid)
			}
		}
		for _, node := range slices.Sorted(maps.Keys(rule.Nodes)) {
			if !slices.Contains(l.nodes, node) {
				l.add(file, line, "rule '%s' names node '%s', which is not in the cluster", id, node)
			}
		}
	}
	return l.checkConflicts(ctx)
}

// checkConflicts notes rules that cannot be kept.
func (l *linter) checkConflicts(ctx context.Context) error {
	all, err := l.q.quietly().withGroups(ctx, l.rules)
	if err != nil {
		return err
	}
	nodes, err := l.q.quietly().knownNodes(ctx)
	if err != nil || len(nodes) == 0 { // broken is noted elsewhere, absent is no mistake
		nodes = l.nodes
	}
	for _, c := range rules.Check(all, nodes) {
		file, id := pmxcfsio.RulesFile, c.RuleID
		if group, ok := strings.CutPrefix(id, "ha-group-"); ok && l.sections[file][id] == 0 {
			file, id = pmxcfsio.GroupsFile, group
		}
		l.add(file, l.sections[file][id], "rule '%s' is not applied: %s", c.RuleID, c.Message)
	}
	return nil
}

func (l *linter) checkFence(ctx context.Context) error {
	data, err := l.q.read(ctx, pmxcfsio.FenceFile)
	if err != nil {
		return err
	}
	_, problems, err := hacfg.ParseFence(path(pmxcfsio.FenceFile), data)
	for i := range problems {
		l.problem(pmxcfsio.FenceFile, &problems[i])
	}
	var wrong *hacfg.FenceError
	if errors.As(err, &wrong) {
		for _, line := range wrong.Lines {
			l.add(pmxcfsio.FenceFile, line.Line, "%s", line.Err)
		}
		return nil
	}
	return err
}

func (l *linter) checkDatacenter(ctx context.Context) error {
	data, err := l.q.read(ctx, pmxcfsio.DatacenterFile)
	if err != nil {
		return err
	}
	_, problems := hacfg.ParseDatacenter(path(pmxcfsio.DatacenterFile), data)
	for i := range problems {
		l.problem(pmxcfsio.DatacenterFile, &problems[i])
	}
	return nil
}

// checkManager notes a status that nobody can read, and what in it contradicts
// the rest.
func (l *linter) checkManager(ctx context.Context) error {
	const file = pmxcfsio.ManagerStatusFile
	data, err := l.q.read(ctx, file)
	if err != nil || len(data) == 0 {
		return err
	}
	status, err := ha.ParseManagerStatus(path(file), data)
	if err != nil {
		l.unreadable(file, data, err)
		return nil
	}
	for _, sid := range slices.Sorted(maps.Keys(status.ServiceStatus)) {
		s := status.ServiceStatus[sid]
		if s.State != "" && !slices.Contains(ha.ServiceStates, s.State) {
			l.add(file, 0, "service '%s' is in the unknown state '%s'", sid, s.State)
		}
		if s.State == ha.Error {
			l.add(file, 0, "service '%s' is in error state: see the journal, then disable it", sid)
		}
	}
	return nil
}

// unreadable notes a file that is no JSON, or not the right one.
func (l *linter) unreadable(file string, data []byte, err error) {
	var status *ha.StatusError
	line := 0
	if errors.As(err, &status) {
		line = bytes.Count(data[:min(status.Offset, len(data))], []byte("\n")) + 1
	}
	l.add(file, line, "%s", err)
}

func (l *linter) checkCommands(ctx context.Context) error {
	data, err := l.q.read(ctx, pmxcfsio.CommandsFile)
	if err != nil {
		return err
	}
	for i, line := range ha.CommandLines(string(data)) {
		if _, err := ha.ParseCommand(line); err != nil {
			l.add(pmxcfsio.CommandsFile, i+1, "%s", err)
		}
	}
	return nil
}

func (l *linter) checkLRMs(ctx context.Context) error {
	for _, node := range slices.Sorted(slices.Values(l.nodes)) {
		file := pmxcfsio.LRMStatusFile(node)
		data, err := l.q.read(ctx, file)
		if err != nil {
			return err
		}
		if len(data) == 0 {
			continue // an LRM that never ran has none
		}
		if _, err := ha.ParseLRMStatus(path(file), data); err != nil {
			l.unreadable(file, data, err)
		}
	}
	return nil
}
