package hacfg

import "pveha/internal/ha"

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
