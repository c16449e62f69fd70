package cfgparse

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// BrokenError refuses to write a file because it has sections that failed
// their checks: nobody knows what they should be, and they must not get lost.
type BrokenError struct {
	Sections []string // their IDs, sorted
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("%s: section %s failed its checks, correct or remove it first",
		strings.TrimSuffix(e.Reason(), "\n"), "'"+strings.Join(e.Sections, "', '")+"'")
}

// Reason returns the text with which the Perl stack dies here, line feed
// included.
func (e *BrokenError) Reason() string { return "unknown section type ''\n" }

// CheckWhole returns a *BrokenError when there are broken sections.
func CheckWhole(broken map[string]int) error {
	if len(broken) == 0 {
		return nil
	}
	return &BrokenError{Sections: slices.Sorted(maps.Keys(broken))}
}

// Write prints a configuration in canonical form: sections by ordinal, in each
// the comment, the flag "disable", then the required and then the optional
// properties by name, an empty line at its end. Sections without an ordinal
// come last, in their order in c.
//
// Comments, ignored lines and the layout of the file that c was read from are
// not in it. A value that is empty is left out; a comment "0", too.
//
// What could not be read again is not written: a section without a required
// property, a value with a line feed in it, one that has become too long. A
// number that is too big for 64 bits is written with an exponent, and lost when
// it is read; the Perl stack has the same limit.
func (s *Schema) Write(c *Config) ([]byte, error) {
	if err := CheckWhole(c.Broken); err != nil {
		return nil, err
	}
	entries := slices.Clone(c.Sections)
	slices.SortStableFunc(entries, func(a, b *Entry) int {
		if (a.Ordinal == 0) != (b.Ordinal == 0) {
			return b.Ordinal - a.Ordinal
		}
		return a.Ordinal - b.Ordinal
	})
	out := make([]byte, 0, 64*len(entries))
	var err error
	for _, entry := range entries {
		if out, err = s.appendSection(out, entry); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Schema) appendSection(out []byte, entry *Entry) ([]byte, error) {
	typ := s.Type(entry.Type)
	if typ == nil {
		return nil, fmt.Errorf("unknown section type '%s'", entry.Type)
	}
	id := entry.ID
	if s.Header != nil {
		id = s.Header(id)
	}
	out = append(append(append(append(out, typ.Name...), ": "...), id...), '\n')

	var err error
	if comment, _ := entry.Get("comment"); comment != "" && comment != "0" {
		if out, err = typ.appendProperty(out, entry.ID, "comment", comment); err != nil {
			return nil, err
		}
	}
	if disable, ok := entry.Get("disable"); ok && disable == "1" {
		out = append(out, "\tdisable\n"...)
	}
	for _, p := range typ.required {
		value, _ := entry.Get(p.Name)
		if value == "" {
			return nil, fmt.Errorf("section '%s' - missing value for required option '%s'", entry.ID, p.Name)
		}
		if out, err = typ.appendProperty(out, entry.ID, p.Name, value); err != nil {
			return nil, err
		}
	}
	for _, p := range typ.optional {
		if p.Name == "comment" || p.Name == "disable" {
			continue
		}
		if value, ok := entry.Get(p.Name); ok {
			if out, err = typ.appendProperty(out, entry.ID, p.Name, value); err != nil {
				return nil, err
			}
		}
	}
	return append(out, '\n'), nil
}

func (t *SectionType) appendProperty(out []byte, id, key, value string) ([]byte, error) {
	if strings.ContainsAny(value, "\r\n") {
		return nil, fmt.Errorf("property '%s' contains a line feed", key)
	}
	if p := t.Property(key); p != nil && p.MaxLength > 0 && len(value) > p.MaxLength {
		return nil, fmt.Errorf("section '%s' - property '%s' takes %d bytes in the file, of at most %d",
			id, key, len(value), p.MaxLength)
	}
	if value == "" {
		return out, nil
	}
	out = append(append(append(out, '\t'), key...), ' ')
	return append(append(out, value...), '\n'), nil
}
