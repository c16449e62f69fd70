package cfgparse

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Change is an edit of one section: properties that get a value, and
// properties that go. Values are as they would stand in a file.
type Change struct {
	Set    map[string]string
	Delete []string
}

// ValueError tells which property of a Change was refused.
type ValueError struct {
	Key string
	Err error
}

func (e *ValueError) Error() string { return fmt.Sprintf("property '%s': %v", e.Key, e.Err) }

func (e *ValueError) Unwrap() error { return e.Err }

// Create returns a new section of the type with the given values, checked and
// in normal form. A value that fails its check makes a *ValueError.
func (s *Schema) Create(typ, id string, values map[string]string) (*Entry, error) {
	t := s.Type(typ)
	if t == nil {
		return nil, fmt.Errorf("unknown section type '%s'", typ)
	}
	entry := &Entry{Type: typ, ID: id}
	if err := t.set(entry, values); err != nil {
		return nil, err
	}
	if err := t.complete(entry); err != nil {
		return nil, err
	}
	return entry, nil
}

// Apply makes a change to a section, the new values first. After an error the
// section is as it was. A value that fails its check makes a *ValueError.
func (s *Schema) Apply(entry *Entry, change Change) error {
	t := s.Type(entry.Type)
	if t == nil {
		return fmt.Errorf("unknown section type '%s'", entry.Type)
	}
	edited := *entry
	edited.values = slices.Clone(entry.values)
	if err := t.set(&edited, change.Set); err != nil {
		return err
	}
	for _, key := range change.Delete {
		if err := t.deletable(key); err != nil {
			return err
		}
		edited.Delete(key)
	}
	*entry = edited
	return nil
}

// Conflict tells which property a change both sets and deletes.
func (c Change) Conflict() error {
	for _, key := range c.Delete {
		if _, ok := c.Set[key]; ok {
			return fmt.Errorf("cannot set and delete property '%s' at the same time!", key)
		}
	}
	return nil
}

func (t *SectionType) set(entry *Entry, values map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value := values[key]
		if key == typeProperty && value == t.Name {
			continue
		}
		property := t.Property(key)
		if property == nil {
			return fmt.Errorf("unexpected property '%s'", key)
		}
		normal, err := property.Check(value, true)
		if err != nil {
			return &ValueError{Key: key, Err: err}
		}
		entry.Set(key, normal)
	}
	return nil
}

func (t *SectionType) deletable(key string) error {
	property := t.Property(key)
	if property == nil {
		return fmt.Errorf("no such option '%s'", key)
	}
	if property.Required {
		return fmt.Errorf("unable to delete required option '%s'", key)
	}
	return nil
}

var errModified = errors.New("detected modified configuration - file changed by other user? Try again.")

// CheckDigest tells when a file is no longer the one that an editor has seen:
// when both digests are known and differ.
func CheckDigest(current, seen string) error {
	if current != "" && seen != "" && current != seen {
		return errModified
	}
	return nil
}
