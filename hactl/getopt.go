package hactl

import (
	"fmt"
	"slices"
	"strings"
)

// given is what the arguments of a command say, not looked at any further:
// for each option its values in order, and the arguments that are none.
type given struct {
	values map[string][]string
	rest   []string
}

// scan takes the arguments of a command apart. The syntax is that of Perl's
// Getopt::Long with "--" and "-" as prefixes: options and arguments in any
// order, names in any case and shortened as long as they are unique, values
// behind '=' or in the next argument, "--" before arguments that look like
// options. New options have to be written out.
//
// Each complaint is passed to warn; all arguments are looked at before scan
// says whether there were any.
func (c *command) scan(args []string, warn func(string)) (given, bool) {
	s := scanner{command: c, args: args, warn: warn, given: given{values: map[string][]string{}}}
	for len(s.args) > 0 {
		arg := s.next()
		if arg == "--" {
			s.given.rest = append(s.given.rest, s.args...)
			break
		}
		if !isOption(arg) {
			s.given.rest = append(s.given.rest, arg)
			continue
		}
		s.option(arg)
	}
	return s.given, !s.failed
}

type scanner struct {
	command *command
	args    []string
	warn    func(string)
	given   given
	failed  bool
}

func (s *scanner) next() string {
	arg := s.args[0]
	s.args = s.args[1:]
	return arg
}

func (s *scanner) complain(format string, args ...any) {
	s.warn(fmt.Sprintf(format, args...))
	s.failed = true
}

// isOption tells whether an argument has a prefix and something behind it.
func isOption(arg string) bool { return strings.HasPrefix(arg, "-") && arg != "-" }

// option takes over one option and, where it wants one, its value.
func (s *scanner) option(arg string) {
	name := strings.TrimPrefix(arg, "-")
	name = strings.TrimPrefix(name, "-")
	value, inline := "", false
	// A '=' right behind the prefix belongs to the name.
	if at := strings.IndexByte(name, '='); at > 0 {
		name, value, inline = name[:at], name[at+1:], true
	}
	name = strings.ToLower(name)
	o := s.find(name)
	if o == nil {
		return
	}
	optional := o.kind == kindBoolean
	if inline && value == "" || !inline && len(s.args) == 0 {
		if !optional {
			s.complain("Option %s requires an argument", o.name)
			return
		}
		s.take(o, "")
		return
	}
	if !inline {
		value = s.next()
		if optional && (isOption(value) || o.new && !isBoolean(value)) {
			s.args = append([]string{value}, s.args...)
			value = ""
		}
	}
	s.take(o, value)
}

// isBoolean tells whether an argument can be the value of a boolean option. The
// options of the Perl command take any.
func isBoolean(value string) bool {
	_, ok := parseBoolean(value)
	return ok
}

// find returns the option that a name stands for. It complains when there is
// none, or more than one.
func (s *scanner) find(name string) *option {
	if o := s.command.option(name); o != nil {
		return o
	}
	var hits []string
	for _, known := range s.command.optionNames() {
		if strings.HasPrefix(known, name) && !s.command.option(known).new {
			hits = append(hits, known)
		}
	}
	switch len(hits) {
	case 0:
		s.complain("Unknown option: %s", name)
		return nil
	case 1:
		return s.command.option(hits[0])
	}
	s.complain("Option %s is ambiguous (%s)", name, strings.Join(hits, ", "))
	return nil
}

// take keeps the value of an option. Of several the last one counts, but for
// lists.
func (s *scanner) take(o *option, value string) {
	if o.isList() {
		s.given.values[o.name] = append(s.given.values[o.name], value)
		return
	}
	s.given.values[o.name] = []string{value}
}

func (o *option) isList() bool {
	return o.kind == kindArray || o.format != nil && o.format.list
}

// params is what a command was told, checked and in the form its code wants.
type params struct {
	values map[string]string
	extra  []string // the arguments of the option "extra-args"
}

// get returns the value of an option, "" when it was not given.
func (p params) get(name string) string { return p.values[name] }

func (p params) has(name string) bool {
	_, ok := p.values[name]
	return ok
}

// flag tells whether a boolean option was given as true.
func (p params) flag(name string) bool { return p.values[name] == "1" }

// except returns the given options without some.
func (p params) except(names ...string) map[string]string {
	rest := map[string]string{}
	for name, value := range p.values {
		if !slices.Contains(names, name) {
			rest[name] = value
		}
	}
	return rest
}

const extraArgs = "extra-args"

// parse reads the arguments of a command and checks them against its table
// entry. The values come out as UTF-8.
func (c *command) parse(args []string, text charset, warn func(string)) (params, error) {
	g, ok := c.scan(args, warn)
	if !ok {
		return params{}, misuse("unable to parse option")
	}
	p := params{values: map[string]string{}}
	rest := g.rest
	for _, name := range c.args {
		switch {
		case name == extraArgs:
			p.extra, rest = rest, nil
		case len(rest) == 0 && c.option(name).required:
			return params{}, misuse("not enough arguments")
		case len(rest) > 0:
			g.values[name], rest = rest[:1], rest[1:]
		}
	}
	if len(rest) > 0 {
		return params{}, misuse("too many arguments")
	}
	for name, values := range g.values {
		value := text.decode(strings.Join(values, ","))
		if c.option(name).kind == kindBoolean {
			on, ok := parseBoolean(value)
			if !ok && value != "" {
				return params{}, errUnreadableBool
			}
			value = perlBool(on || value == "")
		}
		p.values[name] = value
	}
	return p, c.check(p)
}

// perlBool is a truth value as the Perl stack writes it.
func perlBool(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// check holds the values to the table. The values of the options for the form
// of the output are not looked at here: the Perl command does not, either.
func (c *command) check(p params) error {
	problems := map[string]string{}
	verify(c.options, "", p, problems)
	if c.byType != nil {
		c.checkType(p, problems)
	}
	if len(problems) > 0 {
		return &usageError{text: verificationFailed, errors: problems}
	}
	return nil
}

// verify checks the values of some options and notes what is wrong with each
// by its place.
func verify(options []option, place string, p params, problems map[string]string) {
	for i := range options {
		o := &options[i]
		value, ok := p.values[o.name]
		switch {
		case !ok && o.name == extraArgs:
		case !ok && o.required:
			problems[place+o.name] = "property is missing and it is not optional"
		case ok:
			if problem := o.verify(value); problem != "" {
				problems[place+o.name] = problem
			}
		}
	}
}

// checkType checks the options that depend on the type.
func (c *command) checkType(p params, problems map[string]string) {
	typ := p.get("type")
	known := map[string]bool{}
	for _, o := range c.options {
		known[o.name] = true
	}
	for _, v := range c.byType {
		if v.typ != typ {
			continue
		}
		for _, o := range v.options {
			known[o.name] = true
		}
		verify(v.options, "oneOf["+typ+"].", p, problems)
	}
	for name := range p.values {
		if !known[name] && !isFormatOption(name) {
			problems[name] = "property is not defined in schema and the schema does not allow additional properties"
		}
	}
}
