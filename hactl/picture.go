package hactl

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pveha/cfgparse"
	"pveha/crm"
	"pveha/hactl/whatif"
)

// errNoPicture says that this environment cannot answer what would be.
var errNoPicture = errors.New("nobody can tell what would be: there is no picture of the cluster here")

func (q *Query) picture(ctx context.Context) (Picture, error) {
	if q.Picture == nil {
		return nil, errNoPicture
	}
	picture, err := q.Picture(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot take a picture of the cluster: %w", err)
	}
	return picture, nil
}

// printJSON prints what a program asked for.
func (q *Query) printJSON(value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot print JSON: %w", err)
	}
	fmt.Fprintf(q.Stdio.Out, "%s\n", data)
	return nil
}

// explain is the command "explain".
func explain(ctx context.Context, q *Query, p params) error {
	id, err := q.service(ctx, p.get("sid"))
	if err != nil {
		return err
	}
	picture, err := q.picture(ctx)
	if err != nil {
		return err
	}
	e, err := picture.Explain(id.sid)
	if err != nil {
		return err
	}
	if p.flag("json") {
		return q.printJSON(e)
	}
	fmt.Fprint(q.Stdio.Out, explanationText(e, q.tableOptions(p)))
	return nil
}

// explanationText is an explanation for people.
func explanationText(e *crm.Explanation, o tableOptions) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s on %s, requested: %s\n", e.SID, e.State, cmp.Or(e.Node, "---"), e.Request)
	if e.Target != "" {
		fmt.Fprintf(&b, "on its way to %s\n", e.Target)
	}
	fmt.Fprintf(&b, "best node now: %s (%s load)\n", cmp.Or(e.Choice, "none"), e.Scheduler)
	section(&b, "Why it is there", e.Because)
	rows := make([]object, len(e.Nodes))
	for i, node := range e.Nodes {
		rows[i] = verdictRow(i, node)
	}
	if len(rows) > 0 {
		b.WriteString("\nNodes\n")
		b.WriteString(textTable([]string{"#", "node", "state", "usable", "score", "why"}, rows, o))
	}
	section(&b, "What would move it", e.Moves)
	section(&b, "Notes", e.Notes)
	return b.String()
}

// verdictRow is a line of the table of nodes. The position keeps their order.
func verdictRow(position int, v crm.Verdict) object {
	row := object{
		"#": fmt.Sprintf("%2d", position+1), "node": v.Node, "state": string(v.State),
		"usable": "no", "why": strings.Join(v.Says, "\n"),
	}
	if v.Usable {
		row["usable"] = "yes"
	}
	if v.Score != nil {
		row["score"] = strconv.FormatFloat(*v.Score, 'g', 4, 64)
	}
	return row
}

func section(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	b.WriteString("\n" + title + "\n")
	for _, line := range lines {
		b.WriteString("- " + line + "\n")
	}
}

// simulate is the command "simulate".
func simulate(ctx context.Context, q *Query, p params) error {
	nodes := cfgparse.SplitList(p.get("fail"))
	if len(nodes) == 0 {
		return misuse("no nodes were specified")
	}
	for _, node := range nodes {
		if err := q.checkNode(ctx, node); err != nil {
			return err
		}
	}
	slices.Sort(nodes)
	picture, err := q.picture(ctx)
	if err != nil {
		return err
	}
	report, err := picture.Fail(slices.Compact(nodes)...)
	if err != nil {
		return err
	}
	if p.flag("json") {
		err = q.printJSON(report)
	} else {
		fmt.Fprint(q.Stdio.Out, reportText(report, q.tableOptions(p)))
	}
	if err == nil && !report.OK() {
		return &exitError{exitProblem}
	}
	return err
}

// reportText is the outcome of a simulation for people.
func reportText(r *whatif.Report, o tableOptions) string {
	var b strings.Builder
	fmt.Fprintf(&b, "If %s failed now", strings.Join(r.Failed, " and "))
	if !r.Quorate {
		b.WriteString(", there would be no quorum: nothing would be recovered.\n")
	} else {
		fmt.Fprintf(&b, ", all would have settled after %d s.\n", r.Seconds)
	}
	var moves []object
	var lost []string
	for _, c := range r.Services {
		to := cmp.Or(c.To, "nowhere")
		moves = append(moves, object{"service": string(c.SID), "from": c.From, "to": to, "state": string(c.State)})
		if c.Lost {
			line := string(c.SID) + " would not run"
			if len(c.Blocked) > 0 {
				line += ": " + strings.Join(c.Blocked, "; ")
			}
			lost = append(lost, line)
		}
	}
	if len(moves) == 0 {
		b.WriteString("No resource would move.\n")
	} else {
		b.WriteString(textTable([]string{"service", "from", "to", "state"}, moves, o))
	}
	section(&b, "Lost", lost)
	loads, tight := loadRows(r.Nodes)
	if len(loads) > 0 {
		b.WriteString("\nWhat the configurations of the guests add up to\n")
		b.WriteString(textTable([]string{"node", "guests", "memory", "cores"}, loads, o))
	}
	section(&b, "What would not fit", tight)
	return b.String()
}

// loadRows are the loads of the nodes that are left, and what is too much.
func loadRows(nodes []whatif.NodeLoad) (rows []object, tight []string) {
	for _, n := range nodes {
		rows = append(rows, object{
			"node": n.Node, "guests": n.Guests,
			"memory": fmt.Sprintf("%s -> %s of %s", gibibytes(n.MemBefore), gibibytes(n.MemAfter), known(gibibytes(n.MemSize), n.MemSize > 0)),
			"cores":  fmt.Sprintf("%g -> %g of %s", n.CPUBefore, n.CPUAfter, known(fmt.Sprint(n.CPUSize), n.CPUSize > 0)),
		})
		if !n.MemFits() {
			tight = append(tight, fmt.Sprintf("the memory of the guests on %s: %s of %s", n.Node, gibibytes(n.MemAfter), gibibytes(n.MemSize)))
		}
		if !n.CPUFits() {
			tight = append(tight, fmt.Sprintf("the cores of the guests on %s: %g of %g", n.Node, n.CPUAfter, n.CPUSize))
		}
	}
	return rows, tight
}

func known(size string, isKnown bool) string {
	if !isKnown {
		return "unknown"
	}
	return size
}

func gibibytes(n uint64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
