package hacfg

import (
	"maps"
	"slices"
	"strings"

	"pveha/cfgparse"
)

// Group is one section of groups.cfg, the forerunner of a node affinity rule.
type Group struct {
	ID         string
	Ordinal    int
	Nodes      []string // entries NODE or NODE:PRIORITY in the order of the file
	Restricted *bool    // nil when not given (false)
	NoFailback *bool    // nil when not given (false)
	Comment    string
}

// Groups is the typed view of groups.cfg.
type Groups struct {
	Digest string // SHA-1 of the file, hexadecimal
	ByID   map[string]*Group
	Broken map[string]int // as in Rules
}

// groupType is the section type of every group.
const groupType = "group"

var groupsSchema = cfgparse.NewSchema(cfgparse.Schema{
	Types: []cfgparse.SectionType{{Name: groupType, Properties: []cfgparse.Property{
		{Name: "nodes", Type: cfgparse.String, Required: true, Format: forList(checkNodeEntry)},
		{Name: "restricted", Type: cfgparse.Boolean},
		{Name: "nofailback", Type: cfgparse.Boolean},
		{Name: "comment", Type: cfgparse.String, MaxLength: maxComment},
	}}},
	Reserved:    []string{"group", "type"},
	CheckHeader: checkConfigHeader,
})

// ParseGroups reads groups.cfg. It returns the groups that passed their
// checks, and every problem; file is the name by which the problems call the
// file.
func ParseGroups(file string, raw []byte) (*Groups, []Problem) {
	config, problems := groupsSchema.Read(file, raw)
	groups := &Groups{Digest: config.Digest, ByID: map[string]*Group{}, Broken: config.Broken}
	for _, entry := range config.Sections {
		groups.ByID[entry.ID] = newGroup(entry)
	}
	return groups, problems
}

func newGroup(entry *cfgparse.Entry) *Group {
	group := &Group{
		ID:         entry.ID,
		Ordinal:    entry.Ordinal,
		Restricted: flag(entry, "restricted"),
		NoFailback: flag(entry, "nofailback"),
	}
	group.Comment, _ = entry.Get("comment")
	nodes, _ := entry.Get("nodes")
	seen := map[string]bool{}
	for _, item := range cfgparse.SplitList(nodes) {
		if !seen[item] {
			seen[item] = true
			group.Nodes = append(group.Nodes, item)
		}
	}
	return group
}

// Write prints the groups in canonical form. It is refused with a
// *cfgparse.BrokenError when a section of the file failed its checks. The
// nodes of a group keep the order of Nodes.
func (g *Groups) Write() ([]byte, error) {
	config := cfgparse.NewConfig()
	config.Broken = g.Broken
	for _, id := range slices.Sorted(maps.Keys(g.ByID)) {
		config.Sections = append(config.Sections, g.ByID[id].entry(id))
	}
	return groupsSchema.Write(config)
}

func (g *Group) entry(id string) *cfgparse.Entry {
	entry := &cfgparse.Entry{Type: groupType, ID: id, Ordinal: g.Ordinal}
	entry.Set("nodes", strings.Join(g.Nodes, ","))
	setText(entry, "comment", g.Comment)
	setFlag(entry, "restricted", g.Restricted)
	setFlag(entry, "nofailback", g.NoFailback)
	return entry
}
