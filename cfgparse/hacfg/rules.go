package hacfg

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"pveha/cfgparse"
	"pveha/internal/ha"
)

// RuleType is the section type of a rule.
type RuleType string

// The rule types.
const (
	NodeAffinity     RuleType = "node-affinity"
	ResourceAffinity RuleType = "resource-affinity"
)

// Affinity says whether a resource affinity rule keeps its resources together
// or apart.
type Affinity string

// The affinities.
const (
	Positive Affinity = "positive"
	Negative Affinity = "negative"
)

// Rule is one section of rules.cfg.
type Rule struct {
	ID        string
	Type      RuleType
	Ordinal   int // position in the file, from 1; rules made up by a transform have one too
	Resources map[ha.SID]bool
	Comment   string

	// Disable is nil when the section has no such line. The Perl stack leaves
	// out a rule that has the line, whatever its value, and writes it only
	// when it is true.
	Disable *bool

	Nodes  map[string]int // node affinity: node name to priority
	Strict *bool          // node affinity: nil when not given (false)

	Affinity Affinity // resource affinity

	huge map[string]string // text of priorities beyond the range of int, by node
}

// IsStrict tells whether the rule's resources may run on its nodes only.
func (r *Rule) IsStrict() bool { return r.Strict != nil && *r.Strict }

// Rules is the typed view of rules.cfg.
type Rules struct {
	Digest string // SHA-1 of the file, hexadecimal
	ByID   map[string]*Rule

	// Broken holds the sections that failed their checks as a whole, by ID
	// with their ordinal. They are not applied, and a file that has one is
	// not written back.
	Broken map[string]int
}

var rulesSchema = cfgparse.NewSchema(cfgparse.Schema{
	Types: []cfgparse.SectionType{
		{Name: string(NodeAffinity), Properties: []cfgparse.Property{
			{Name: "resources", Type: cfgparse.String, Required: true, Format: forList(checkResourceID)},
			{Name: "nodes", Type: cfgparse.String, Required: true, Format: forList(checkNodeEntry)},
			{Name: "strict", Type: cfgparse.Boolean},
			{Name: "disable", Type: cfgparse.Boolean},
			{Name: "comment", Type: cfgparse.String, MaxLength: maxComment},
		}},
		{Name: string(ResourceAffinity), Properties: []cfgparse.Property{
			{Name: "resources", Type: cfgparse.String, Required: true, Format: forList(checkResourceID)},
			{Name: "affinity", Type: cfgparse.String, Required: true, Enum: []string{string(Positive), string(Negative)}},
			{Name: "disable", Type: cfgparse.Boolean},
			{Name: "comment", Type: cfgparse.String, MaxLength: maxComment},
		}},
	},
	Reserved:    []string{"rule", "type"},
	CheckHeader: checkConfigHeader,
})

// checkConfigHeader is for files whose section ID is the one in the header.
func checkConfigHeader(_, id string) (string, error) { return id, checkConfigID(id) }

// ParseRules reads rules.cfg. It returns the rules that passed their checks,
// and every problem; file is the name by which the problems call the file.
func ParseRules(file string, raw []byte) (*Rules, []Problem) {
	config, problems := rulesSchema.Read(file, raw)
	rules := &Rules{Digest: config.Digest, ByID: map[string]*Rule{}, Broken: config.Broken}
	for _, entry := range config.Sections {
		rules.ByID[entry.ID] = newRule(entry)
	}
	return rules, problems
}

func newRule(entry *cfgparse.Entry) *Rule {
	rule := &Rule{
		ID:        entry.ID,
		Type:      RuleType(entry.Type),
		Ordinal:   entry.Ordinal,
		Resources: map[ha.SID]bool{},
		Disable:   flag(entry, "disable"),
		Strict:    flag(entry, "strict"),
	}
	resources, _ := entry.Get("resources")
	for _, sid := range cfgparse.SplitList(resources) {
		rule.Resources[ha.SID(sid)] = true
	}
	comment, _ := entry.Get("comment")
	rule.Comment = cfgparse.DecodeText(comment)
	affinity, _ := entry.Get("affinity")
	rule.Affinity = Affinity(affinity)
	if rule.Type == NodeAffinity {
		rule.Nodes = map[string]int{}
		nodes, _ := entry.Get("nodes")
		for _, item := range cfgparse.SplitList(nodes) {
			rule.addNode(item)
		}
	}
	return rule
}

// addNode takes over an entry of a node list that passed its check. The last
// entry of a node counts.
func (r *Rule) addNode(item string) {
	node, digits, ok := cutNodeEntry(item)
	if !ok {
		return
	}
	priority, huge := parsePriority(digits)
	r.Nodes[node] = priority
	delete(r.huge, node)
	if huge != "" {
		if r.huge == nil {
			r.huge = map[string]string{}
		}
		r.huge[node] = huge
	}
}

// Write prints the rules in canonical form. It is refused with a
// *cfgparse.BrokenError when a section of the file failed its checks. A rule
// with the ordinal 0 comes last.
func (r *Rules) Write() ([]byte, error) {
	if err := cfgparse.CheckWhole(r.Broken); err != nil {
		return nil, err
	}
	config := cfgparse.NewConfig()
	for _, id := range slices.Sorted(maps.Keys(r.ByID)) {
		entry, err := r.ByID[id].entry()
		if err != nil {
			return nil, fmt.Errorf("rule '%s': %w", id, err)
		}
		entry.ID = id
		config.Sections = append(config.Sections, entry)
	}
	return rulesSchema.Write(config)
}

func (r *Rule) entry() (*cfgparse.Entry, error) {
	entry := &cfgparse.Entry{Type: string(r.Type), Ordinal: r.Ordinal}
	sids := make([]string, 0, len(r.Resources))
	for sid := range r.Resources {
		if err := checkResourceID(string(sid)); err != nil {
			return nil, err
		}
		sids = append(sids, string(sid))
	}
	slices.Sort(sids)
	list := strings.Join(sids, ",")
	// A list with NULs in it can hold an ID with a comma.
	if !slices.Equal(cfgparse.SplitList(list), sids) {
		return nil, fmt.Errorf("resources '%s' cannot be written in a list", strings.Join(sids, "', '"))
	}
	entry.Set("resources", list)
	setText(entry, "comment", cfgparse.EncodeText(r.Comment))
	setFlag(entry, "disable", r.Disable)
	switch r.Type {
	case NodeAffinity:
		nodes, err := r.formatNodes()
		if err != nil {
			return nil, err
		}
		entry.Set("nodes", nodes)
		setFlag(entry, "strict", r.Strict)
	case ResourceAffinity:
		entry.Set("affinity", string(r.Affinity))
	}
	return entry, nil
}

// formatNodes prints the node list sorted by name, priorities 0 left out. A
// priority beyond 64 bits is refused: the Perl stack would write it with an
// exponent, which no node list can hold.
func (r *Rule) formatNodes() (string, error) {
	var b strings.Builder
	for i, node := range slices.Sorted(maps.Keys(r.Nodes)) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(node)
		priority := strconv.Itoa(r.Nodes[node])
		if huge := r.huge[node]; huge != "" && r.Nodes[node] == math.MaxInt {
			priority = huge
		}
		if !allDigits(priority) {
			return "", fmt.Errorf("priority %s of node '%s' cannot be written", priority, node)
		}
		if priority != "0" {
			b.WriteString(":" + priority)
		}
	}
	return b.String(), nil
}
