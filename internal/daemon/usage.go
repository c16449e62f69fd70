package daemon

import (
	"fmt"
	"slices"
	"strings"
)

// verb is a command for people.
type verb struct {
	name, args, purpose string
	hidden              bool // ours alone: the Perl daemons do not list it
}

var verbs = []verb{
	{name: "help", args: "[<extra-args>] [OPTIONS]", purpose: "Get help about specified command."},
	{name: "start", args: " [OPTIONS]", purpose: "Start the daemon.\n\n" +
		"  --debug    <boolean>\t (default=0)\n\t     Debug mode - stay in foreground"},
	{name: "status", purpose: "Get daemon status."},
	{name: "stop", purpose: "Stop the daemon."},
	{name: "restart", purpose: "Restart the daemon (or start if not running).", hidden: true},
}

// resolve completes a command that is not written out.
func (c *command) resolve(name string) string {
	var found []string
	for _, v := range verbs {
		if v.name == name {
			return name
		}
		if strings.HasPrefix(v.name, name) && name != "" && !v.hidden {
			found = append(found, v.name)
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	return ""
}

// synopsis is the one line on a command.
func (c *command) synopsis(name string) string {
	i := slices.IndexFunc(verbs, func(v verb) bool { return v.name == name })
	return c.Name + " " + name + " " + verbs[i].args
}

// usage says what is wrong with the command line, and what would be right.
func (c *command) usage(problem string) int {
	fmt.Fprintf(c.Stderr, "ERROR: %s\nUSAGE: %s <COMMAND> [ARGS] [OPTIONS]\n", problem, c.Name)
	for _, v := range verbs {
		if v.hidden {
			continue
		}
		if v.name == "help" || v.name == "start" {
			fmt.Fprintln(c.Stderr)
		}
		fmt.Fprintf(c.Stderr, "       %s\n", c.synopsis(v.name))
	}
	return exitFailure
}

func (c *command) help(args []string) int {
	args = slices.DeleteFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") })
	which := ""
	if len(args) > 0 {
		if which = c.resolve(args[0]); which == "" {
			return c.usage(fmt.Sprintf("unknown command '%s'", args[0]))
		}
	}
	for _, v := range verbs {
		if v.name == which || which == "" && !v.hidden {
			fmt.Fprintf(c.Stdout, "USAGE: %s\n\n  %s\n\n", c.synopsis(v.name), v.purpose)
		}
	}
	return exitOK
}

// refuse answers a command line that cannot be parsed.
func (c *command) refuse(name, detail, problem string) int {
	if detail != "" {
		fmt.Fprintln(c.Stderr, detail)
	}
	fmt.Fprintf(c.Stderr, "400 %s\n%s\n", problem, c.synopsis(name))
	return exitFailure
}

func (c *command) parseNone(name string, args []string) int {
	for _, arg := range args {
		if option, ok := optionName(arg); ok {
			return c.refuse(name, "Unknown option: "+option, "unable to parse option")
		}
	}
	if len(args) > 0 {
		return c.refuse(name, "", "too many arguments")
	}
	return exitOK
}

// optionName returns the name of an option, which one or two dashes begin.
func optionName(arg string) (string, bool) {
	name := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
	if name == arg || name == "" {
		return "", false
	}
	name, _, _ = strings.Cut(name, "=")
	return name, true
}

const debugOption = "debug"

// booleans are the values of an option that is on or off.
var booleans = map[string]bool{
	"1": true, "on": true, "yes": true, "true": true,
	"0": false, "off": false, "no": false, "false": false,
}

// parseStart reads the options of start: --debug, with its value behind it,
// behind "=", or without one.
func (c *command) parseStart(args []string) (debug bool, code int) {
	for i := 0; i < len(args); i++ {
		name, isOption := optionName(args[i])
		switch {
		case !isOption:
			return false, c.refuse("start", "", "too many arguments")
		case name != debugOption[:min(len(name), len(debugOption))]:
			return false, c.refuse("start", "Unknown option: "+name, "unable to parse option")
		}
		_, value, given := strings.Cut(args[i], "=")
		if !given && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			i++
			value, given = args[i], true
		}
		on, known := booleans[strings.ToLower(value)]
		if given && !known {
			return false, c.refuse("start", "", "Parameter verification failed.\ndebug: type check ('boolean') failed - got '"+value+"'")
		}
		debug = on || !given
	}
	return debug, exitOK
}
