package cfgparse

import (
	"regexp"
	"slices"
	"strings"
)

// PropertyType is the type of a property's value.
type PropertyType string

// The types of values.
const (
	String  PropertyType = "string"
	Boolean PropertyType = "boolean" // 1 or 0; a property without a value is 1
	Integer PropertyType = "integer"
	Number  PropertyType = "number"
)

// Property describes one property of a section type.
type Property struct {
	Name      string
	Type      PropertyType
	Required  bool
	Enum      []string
	Minimum   *float64
	Maximum   *float64
	MaxLength int // bytes of the value as it stands in the file; 0 for any
	// Format checks the value further. Its error's text is shown behind
	// "invalid format - ".
	Format func(value string) error
	// Pattern must match the whole value.
	Pattern *regexp.Regexp
	// DefaultKey marks the property of a property string that a part without
	// a key stands for.
	DefaultKey bool
	// Requires names another property of a property string that must be there
	// when this one is.
	Requires string
}

// SectionType describes the sections of one type.
type SectionType struct {
	Name       string
	Properties []Property

	required, optional []*Property // sorted by name; filled by NewSchema
}

// Schema describes a section-config file.
type Schema struct {
	// Types lists the section types. A header's type is lower-cased before it
	// is looked up here.
	Types []SectionType
	// Reserved names properties that belong to the file format but stand in
	// no section, such as the name of the ID.
	Reserved []string
	// CheckHeader returns the section ID for a header, and why the section
	// must be skipped, if it must. The ID is used in either case.
	CheckHeader func(typ, id string) (sectionID string, err error)
	// Header returns what stands behind "TYPE: " for a section ID; nil for
	// the ID itself.
	Header func(sectionID string) string
}

// NewSchema prepares s for use and returns it.
func NewSchema(s Schema) *Schema {
	for i := range s.Types {
		t := &s.Types[i]
		for j := range t.Properties {
			p := &t.Properties[j]
			if p.Required {
				t.required = append(t.required, p)
			} else {
				t.optional = append(t.optional, p)
			}
		}
		byName := func(a, b *Property) int { return strings.Compare(a.Name, b.Name) }
		slices.SortFunc(t.required, byName)
		slices.SortFunc(t.optional, byName)
	}
	return &s
}

// Type returns the section type of that name, or nil.
func (s *Schema) Type(name string) *SectionType {
	for i := range s.Types {
		if s.Types[i].Name == name {
			return &s.Types[i]
		}
	}
	return nil
}

// Property returns the property of that name, or nil.
func (t *SectionType) Property(name string) *Property {
	for i := range t.Properties {
		if t.Properties[i].Name == name {
			return &t.Properties[i]
		}
	}
	return nil
}

// lowerASCII lower-cases the letters A to Z.
func lowerASCII(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'A' && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
