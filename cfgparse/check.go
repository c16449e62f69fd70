package cfgparse

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Check tests a value against the property's schema and returns it in its
// normal form: an integer is written the way the Perl stack prints it, other
// values stay as they are. given is false for a property line without a value.
//
// The text of an error is the one the Perl stack shows, without line feeds at
// its end.
func (p *Property) Check(value string, given bool) (string, error) {
	if !given && p.Type == Boolean {
		value, given = "1", true
	}
	if !given {
		return "", errors.New("got undefined value")
	}
	if strings.ContainsAny(value, "\r\n") {
		return "", errors.New("property contains a line feed")
	}
	if err := p.Verify(value); err != nil {
		return "", err
	}
	switch p.Type {
	case Boolean, Integer:
		return NormalInteger(value), nil
	case Number, String:
	}
	return value, nil
}

// Verify tests a value against type, format, pattern, length, bounds and
// enumeration of the property, in this order, and returns the first failure.
func (p *Property) Verify(value string) error {
	if !p.typeFits(value) {
		return fmt.Errorf("type check ('%s') failed - got '%s'", p.Type, value)
	}
	if p.Format != nil {
		if err := p.Format(value); err != nil {
			return &FormatError{Err: err}
		}
	}
	if p.Pattern != nil && !p.Pattern.MatchString(value) {
		return errors.New("value does not match the regex pattern")
	}
	if p.MaxLength > 0 && len(value) > p.MaxLength {
		return fmt.Errorf("value may only be %d characters long", p.MaxLength)
	}
	if err := p.checkBounds(value); err != nil {
		return err
	}
	if p.Enum != nil && !slices.Contains(p.Enum, value) {
		return fmt.Errorf("value '%s' does not have a value in the enumeration '%s'",
			value, strings.Join(p.Enum, ", "))
	}
	return nil
}

// FormatError tells that a value of the right type does not have the format
// that its property wants.
type FormatError struct {
	Err error // what the check of the format said
}

func (e *FormatError) Error() string { return "invalid format - " + e.Err.Error() }

func (e *FormatError) Unwrap() error { return e.Err }

// Reason returns the text of the Perl stack, which ends with one line feed
// more than that of Err.
func (e *FormatError) Reason() string { return "invalid format - " + Reason(e.Err) + "\n" }

// Reason returns the text of a failure as the Perl stack keeps it, line feeds
// at its end included: what a method Reason of the error says, or else the
// error's text and one line feed.
func Reason(err error) string {
	if known, ok := err.(interface{ Reason() string }); ok {
		return known.Reason()
	}
	return err.Error() + "\n"
}

func (p *Property) typeFits(value string) bool {
	switch p.Type {
	case Boolean:
		return value == "1" || value == "0"
	case Integer:
		return isInteger(value)
	case Number:
		return isNumber(value)
	case String:
	}
	return true
}

// checkBounds applies to strings, too, when they look like a number.
func (p *Property) checkBounds(value string) error {
	if (p.Minimum == nil && p.Maximum == nil) || !isNumber(value) {
		return nil
	}
	number := toFloat(value)
	if p.Maximum != nil && number > *p.Maximum {
		return fmt.Errorf("value must have a maximum value of %s", formatBound(*p.Maximum))
	}
	if p.Minimum != nil && number < *p.Minimum {
		return fmt.Errorf("value must have a minimum value of %s", formatBound(*p.Minimum))
	}
	return nil
}

func formatBound(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
