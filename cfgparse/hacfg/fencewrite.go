package hacfg

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pveha/cfgparse"
)

// byPriority returns the names of the devices in the order of their priority.
func (f *Fence) byPriority() []string {
	return slices.SortedFunc(maps.Keys(f.Devices), func(a, b string) int {
		if d := f.Devices[a].Priority - f.Devices[b].Priority; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// Commands returns the agent calls that fence a node with its device number
// try, counted from 0 in the order of priority; nil when the node has no
// further device.
func (f *Fence) Commands(node string, try int) []FenceCommand {
	if node == "" || node == "0" {
		return nil
	}
	for _, name := range f.byPriority() {
		var commands []FenceCommand
		parts := f.Devices[name].Parts
		for _, number := range slices.Sorted(maps.Keys(parts)) {
			part := parts[number]
			args, connected := part.Nodes[node]
			if !connected {
				continue
			}
			commands = append(commands, FenceCommand{
				Agent: part.Agent,
				Part:  number,
				Args:  slices.Concat(part.Args, args),
			})
		}
		if len(commands) == 0 {
			continue
		}
		if try <= 0 {
			return commands
		}
		try--
	}
	return nil
}

// CountDevices returns the number of devices a node is connected to.
func (f *Fence) CountDevices(node string) int {
	count := 0
	for _, device := range f.Devices {
		for _, part := range device.Parts {
			if _, connected := part.Nodes[node]; connected {
				count++
				break
			}
		}
	}
	return count
}

// Options returns the arguments as options for a shell: "p=x" becomes
// "-p x", "plug=1" becomes "--plug=1". What stands behind a second '=' is not
// passed on. It fails when an argument cannot be quoted.
func (c *FenceCommand) Options() (string, error) {
	options := make([]string, 0, len(c.Args))
	for _, arg := range c.Args {
		key, value, hasValue := cutOption(arg)
		if hasValue {
			quoted, err := cfgparse.QuoteWord(value)
			if err != nil {
				return "", fmt.Errorf("argument '%s' of %s: %w", key, c.Agent, err)
			}
			value = quoted
		}
		switch {
		case len(key) == 1 && hasValue:
			options = append(options, "-"+key, value)
		case len(key) == 1:
			options = append(options, "-"+key)
		case hasValue:
			options = append(options, "--"+key+"="+value)
		default:
			options = append(options, "--"+key)
		}
	}
	return strings.Join(options, " "), nil
}

// cutOption splits an argument at '='; what stands behind a second '=' is lost.
func cutOption(arg string) (key, value string, hasValue bool) {
	key, value, hasValue = strings.Cut(arg, "=")
	value, _, _ = strings.Cut(value, "=")
	return key, value, hasValue
}

// Line returns the command line of the call for a shell.
func (c *FenceCommand) Line() (string, error) {
	options, err := c.Options()
	if err != nil {
		return "", err
	}
	return c.Agent + " " + options, nil
}

// Write prints the devices by priority, each part with its connections below
// it. Two devices of the same priority are refused, and so is what could not be
// read again: a device or a connection without arguments, an argument that
// cannot be quoted, one of a connection that would need quotes, which are not
// written there.
func (f *Fence) Write() ([]byte, error) {
	var out []byte
	previous := -1
	for _, name := range f.byPriority() {
		device := f.Devices[name]
		if device.Priority == previous {
			return nil, fmt.Errorf("Device '%s' reuses priority! Priorities must be unique", name)
		}
		previous = device.Priority
		for _, number := range slices.Sorted(maps.Keys(device.Parts)) {
			var err error
			if out, err = device.Parts[number].append(out, name, number); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (p *FencePart) append(out []byte, name, number string) ([]byte, error) {
	if n, part := splitDevice(name + ":" + number); n != name || part != number {
		return nil, fmt.Errorf("device '%s:%s': not a name of a device", name, number)
	}
	args, err := quoteWords(p.Args)
	if err != nil {
		return nil, fmt.Errorf("device '%s:%s': %w", name, number, err)
	}
	out = fmt.Appendf(out, "\ndevice %s:%s %s %s\n", name, number, p.Agent, args)
	for _, node := range slices.Sorted(maps.Keys(p.Nodes)) {
		args, err := plainWords(p.Nodes[node])
		if err != nil {
			return nil, fmt.Errorf("connection of node '%s' to device '%s:%s': %w", node, name, number, err)
		}
		out = fmt.Appendf(out, "connect %s:%s node=%s %s\n", name, number, node, args)
	}
	return out, nil
}

var errNoArguments = errors.New("no arguments")

// quoteWords joins words so that they are the same when they are read.
func quoteWords(words []string) (string, error) {
	if len(words) == 0 {
		return "", errNoArguments
	}
	quoted := make([]string, len(words))
	for i, word := range words {
		var err error
		if quoted[i], err = cfgparse.QuoteWord(word); err != nil {
			return "", err
		}
	}
	text := strings.Join(quoted, " ")
	if !slices.Equal(cfgparse.SplitWords(text), words) {
		return "", errors.New("arguments cannot be written so that they read the same")
	}
	return text, nil
}

// plainWords joins words without quotes. It fails when they would not be the
// same when they are read.
func plainWords(words []string) (string, error) {
	if len(words) == 0 {
		return "", errNoArguments
	}
	text := strings.Join(words, " ")
	if trimHorizontal(text) != text || !slices.Equal(cfgparse.SplitWords(text), words) {
		return "", errors.New("arguments cannot be written without quotes")
	}
	return text, nil
}
