package cfgparse

import (
	"errors"
	"fmt"
)

// Config is what a section-config file says, as far as it passed the checks
// of its schema.
type Config struct {
	Digest   string // SHA-1 of the file, hexadecimal
	Sections []*Entry
	// Broken holds the sections that failed as a whole, by ID with their
	// ordinal. They are not among Sections.
	Broken map[string]int

	byID map[string]*Entry
	next int
}

// Entry is one section of a Config.
type Entry struct {
	Type    string
	ID      string
	Ordinal int // position among the sections of the file, from 1
	Line    int // line number of the header; 0 for a section that is in no file

	values []keyValue
}

type keyValue struct{ key, value string }

// Get returns the value of a property in its normal form, and whether the
// section has it.
func (e *Entry) Get(key string) (string, bool) {
	for i := range e.values {
		if e.values[i].key == key {
			return e.values[i].value, true
		}
	}
	return "", false
}

// Set gives a property its value, which must be in its normal form.
func (e *Entry) Set(key, value string) {
	for i := range e.values {
		if e.values[i].key == key {
			e.values[i].value = value
			return
		}
	}
	e.values = append(e.values, keyValue{key, value})
}

// Delete removes a property.
func (e *Entry) Delete(key string) {
	for i := range e.values {
		if e.values[i].key == key {
			e.values = append(e.values[:i], e.values[i+1:]...)
			return
		}
	}
}

// NewConfig returns an empty configuration.
func NewConfig() *Config {
	return &Config{byID: map[string]*Entry{}, Broken: map[string]int{}, next: 1}
}

// Lookup returns the section with the ID, or nil.
func (c *Config) Lookup(id string) *Entry { return c.byID[id] }

// Read checks a file against a schema. It returns the usable part, and a
// problem for everything else in the order of the file. file is the name by
// which the problems call it.
//
// A section with an ID that was there before takes the place of the earlier
// one, at its own position.
func (s *Schema) Read(file string, raw []byte) (*Config, []Problem) {
	tree := Parse(raw)
	r := reader{schema: s, tree: tree, config: NewConfig(), problems: NewProblemList(file, tree.Len())}
	r.config.Digest = Digest(raw)
	r.config.Sections = make([]*Entry, 0, len(tree.Sections))
	line := 1
	for _, section := range tree.Sections {
		r.ignored(line, section.Header-1, "")
		r.section(section)
		line = section.Last + 1
	}
	r.ignored(line, tree.Len(), "")
	r.config.settle()
	return r.config, r.problems.Problems
}

type reader struct {
	schema   *Schema
	tree     *Tree
	config   *Config
	problems *ProblemList
}

// ignored reports the ignored ones of the lines from first to last.
func (r *reader) ignored(first, last int, section string) {
	for n := first; n <= last; n++ {
		if line := r.tree.Line(n); line.Kind == LineIgnored {
			r.problems.Add(IgnoredLine, n, section, "", line.Text)
		}
	}
}

func (r *reader) section(section Section) {
	name := lowerASCII(section.Type)
	id, err := r.schema.CheckHeader(name, section.ID)
	typ := r.schema.Type(name)
	if err == nil && typ == nil {
		err = fmt.Errorf("unsupported type '%s'", name)
	}
	if err != nil {
		r.problems.fail(SkippedSection, section.Header, id, "", err)
		return
	}
	entry := &Entry{Type: name, ID: id, Line: section.Header}
	seen := section.Header // the last line that was not a comment
	for n := section.Header + 1; n <= section.Last; n++ {
		line := r.tree.Line(n)
		switch line.Kind {
		case LineProperty:
			r.property(typ, entry, n, line.Text)
			seen = n
		case LineIgnored:
			r.ignored(n, n, id)
			seen = n
		case LineBlank, LineComment, LineHeader:
		}
	}
	entry.Ordinal = r.config.next
	r.config.next++
	if err := typ.complete(entry); err != nil {
		r.problems.fail(BrokenSection, seen, id, "", err)
		r.config.breakSection(entry)
		return
	}
	r.config.put(entry)
}

func (r *reader) property(typ *SectionType, entry *Entry, line int, text string) {
	key, value, given, _ := SplitProperty(text)
	normal, err := r.schema.value(typ, entry, key, value, given)
	if err != nil {
		r.problems.fail(BadValue, line, entry.ID, key, err)
		return
	}
	entry.values = append(entry.values, keyValue{key, normal})
}

var (
	errUnknownProperty = errors.New("unknown property type")
	errDuplicate       = errors.New("duplicate attribute")
)

// typeProperty may stand in a section when it says what the header says.
const typeProperty = "type"

func (s *Schema) value(typ *SectionType, entry *Entry, key, value string, given bool) (string, error) {
	property := typ.Property(key)
	if property == nil && !s.reserved(key) {
		return "", errUnknownProperty
	}
	if _, ok := entry.Get(key); ok {
		return "", errDuplicate
	}
	if key == typeProperty && given && value == typ.Name {
		return value, nil
	}
	if property == nil {
		return "", fmt.Errorf("unexpected property '%s'", key)
	}
	return property.Check(value, given)
}

func (s *Schema) reserved(key string) bool {
	for _, name := range s.Reserved {
		if name == key {
			return true
		}
	}
	return false
}

// complete tells which required property the entry lacks.
func (t *SectionType) complete(entry *Entry) error {
	for _, p := range t.required {
		if _, ok := entry.Get(p.Name); !ok {
			return fmt.Errorf("missing value for required option '%s'", p.Name)
		}
	}
	return nil
}

func (c *Config) put(entry *Entry) {
	delete(c.Broken, entry.ID)
	c.byID[entry.ID] = entry
	c.Sections = append(c.Sections, entry)
}

func (c *Config) breakSection(entry *Entry) {
	delete(c.byID, entry.ID)
	c.Broken[entry.ID] = entry.Ordinal
}

// settle drops the entries that another section of the same ID has replaced.
func (c *Config) settle() {
	kept := c.Sections[:0]
	for _, entry := range c.Sections {
		if c.byID[entry.ID] == entry {
			kept = append(kept, entry)
		}
	}
	clear(c.Sections[len(kept):])
	c.Sections = kept
}
