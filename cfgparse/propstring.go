package cfgparse

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// PropertyString describes values made of properties of their own, such as
// "ha=static,ha-rebalance-on-start=1".
type PropertyString []Property

// Parse takes a property string apart and checks every part. path is the name
// that errors show before the name of a part. Booleans come back as "1" and
// "0", other values as they are.
func (f PropertyString) Parse(path, value string) (map[string]string, error) {
	values := map[string]string{}
	defaultKey := ""
	for _, part := range strings.Split(value, ",") {
		if trimLeft(part) == "" {
			continue
		}
		key, text, hasKey := strings.Cut(part, "=")
		switch {
		case hasKey && (key == "" || text == ""):
			return nil, errors.New("missing key in comma-separated list property")
		case !hasKey && defaultKey != "":
			return nil, duplicateKeyError(defaultKey)
		case !hasKey:
			key, text = f.defaultKey(), part
			if key == "" {
				return nil, errors.New("value without key, but schema does not define a default key")
			}
			defaultKey = key
		}
		if _, ok := values[key]; ok {
			return nil, duplicateKeyError(key)
		}
		if p := f.property(key); p != nil && p.Type == Boolean {
			text = normalBoolean(text)
		}
		values[key] = text
	}
	return values, f.check(path, values)
}

func duplicateKeyError(key string) error {
	return fmt.Errorf("duplicate key in comma-separated list property: %s", key)
}

// Format returns a check for a property whose value is such a string.
func (f PropertyString) Format(path string) func(string) error {
	return func(value string) error {
		_, err := f.Parse(path, value)
		return err
	}
}

func (f PropertyString) property(name string) *Property {
	for i := range f {
		if f[i].Name == name {
			return &f[i]
		}
	}
	return nil
}

func (f PropertyString) defaultKey() string {
	for i := range f {
		if f[i].DefaultKey {
			return f[i].Name
		}
	}
	return ""
}

// PartsError lists the parts of a property string that failed their checks.
type PartsError struct {
	failures map[string]string // reason by path and name of the part
}

func (e *PartsError) Error() string { return strings.TrimRight(e.Reason(), "\n") }

// Reason returns the text of the Perl stack, by name of the part.
func (e *PartsError) Reason() string {
	text := "format error\n"
	for _, name := range slices.Sorted(maps.Keys(e.failures)) {
		text += name + ": " + e.failures[name] + "\n"
	}
	return text
}

func (f PropertyString) check(path string, values map[string]string) error {
	if failures := checkObject(f, path+".", values); len(failures) > 0 {
		return &PartsError{failures}
	}
	return nil
}

// checkObject checks a set of properties and returns the failures by prefix
// and name. The text of a failed format ends with a line feed.
func checkObject(properties []Property, prefix string, values map[string]string) map[string]string {
	failures := map[string]string{}
	fail := func(name, text string) {
		if before, ok := failures[prefix+name]; ok {
			text = before + `\n` + text
		}
		failures[prefix+name] = text
	}
	known := make(map[string]bool, len(properties))
	for i := range properties {
		p := &properties[i]
		known[p.Name] = true
		value, ok := values[p.Name]
		if !ok {
			if p.Required {
				fail(p.Name, "property is missing and it is not optional")
			}
			continue
		}
		if err := p.Verify(value); err != nil {
			fail(p.Name, strings.TrimSuffix(Reason(err), "\n"))
		}
		if _, ok := values[p.Requires]; p.Requires != "" && !ok {
			fail(p.Requires, fmt.Sprintf("missing property required by '%s'", prefix+p.Name))
		}
	}
	for name := range values {
		if !known[name] {
			fail(name, "property is not defined in schema and the schema does not allow additional properties")
		}
	}
	return failures
}

// normalBoolean turns the words for true and false, in any case, into 1 and 0
// and leaves everything else alone.
func normalBoolean(text string) string {
	switch lowerASCII(text) {
	case "1", "on", "yes", "true":
		return "1"
	case "0", "off", "no", "false":
		return "0"
	}
	return text
}
