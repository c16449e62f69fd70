package hacfg

import (
	"bytes"
	"fmt"
	"strings"

	"pveha/cfgparse"
)

// Fence is the typed view of fence.cfg: the fence devices, and which node
// hangs on which of them.
type Fence struct {
	Devices map[string]*FenceDevice // by name
}

// FenceDevice is a fence device. Its parts are used together: a node is fenced
// when every part that it is connected to has done its work.
type FenceDevice struct {
	Priority int // devices are tried in ascending order; no two have the same
	Parts    map[string]*FencePart
}

// FencePart is one part of a device, known by its number as it is written:
// "1" when the device has no number.
type FencePart struct {
	Agent string
	Args  []string
	Nodes map[string][]string // further arguments by node; nil when no node is connected
}

// FenceCommand is one call of a fence agent.
type FenceCommand struct {
	Agent string
	Part  string // number of the device's part
	Args  []string
}

// FenceError lists the lines of fence.cfg that make the whole file unusable.
type FenceError struct {
	File  string
	Lines []FenceLineError
}

// FenceLineError is one of them.
type FenceLineError struct {
	Line int
	Err  error
}

func (e *FenceError) Error() string { return strings.TrimSuffix(e.Reason(), "\n") }

// Reason returns the text with which the Perl stack dies, line feed included.
func (e *FenceError) Reason() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Encountered error(s) on parsing '%s':\n", e.File)
	for _, line := range e.Lines {
		fmt.Fprintf(&b, "line %d: %s\n", line.Line, line.Err)
	}
	return b.String()
}

// ParseFence reads fence.cfg. Lines that are neither a device nor a connection
// are left out, with a problem each. A line that contradicts another one makes
// the file unusable: the error is a *FenceError then, and there is no Fence.
func ParseFence(file string, raw []byte) (*Fence, []Problem, error) {
	parser := fenceParser{fence: &Fence{Devices: map[string]*FenceDevice{}}}
	failed := &FenceError{File: file}
	problems := cfgparse.NewProblemList(file, bytes.Count(raw, []byte("\n"))+1)
	text := string(raw)
	for number := 1; text != ""; number++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		line = trimHorizontal(line)
		if line == "" || line == "0" || line[0] == '#' {
			continue
		}
		ok, err := parser.line(line)
		switch {
		case err != nil:
			failed.Lines = append(failed.Lines, FenceLineError{Line: number, Err: err})
		case !ok:
			problems.Add(cfgparse.IgnoredFenceLine, number, "", "", line)
		}
	}
	if len(failed.Lines) > 0 {
		return nil, problems.Problems, failed
	}
	return parser.fence, problems.Problems, nil
}

type fenceParser struct {
	fence    *Fence
	priority int // of the next device
}

// line takes over one line. It reports false for a line that says nothing.
func (p *fenceParser) line(line string) (bool, error) {
	command, _, rest := cutField(line)
	device, _, rest := cutField(rest)
	target, space, rest := cutField(rest)
	// A line may end behind the target, but not right behind it.
	if target == "" || (rest == "" && len(space) < 2) {
		return false, nil
	}
	args := cfgparse.SplitWords(rest)
	name, part := splitDevice(device)
	switch command {
	case "device":
		return true, p.device(name, part, target, args)
	case "connect":
		return true, p.connect(name, part, target, args)
	}
	return false, nil
}

func (p *fenceParser) device(name, part, agent string, args []string) error {
	device := p.fence.Devices[name]
	if device == nil {
		device = &FenceDevice{Parts: map[string]*FencePart{}}
		p.fence.Devices[name] = device
	}
	if device.Parts[part] != nil {
		return fmt.Errorf("device '%s:%s' already declared", name, part)
	}
	device.Parts[part] = &FencePart{Agent: agent, Args: args}
	// The first device has priority 0, which reads as none: a second part of
	// it moves it behind the devices declared in between.
	if device.Priority == 0 {
		device.Priority = p.priority
		p.priority++
	}
	return nil
}

func (p *fenceParser) connect(name, part, target string, args []string) error {
	device := p.fence.Devices[name]
	if device == nil {
		return fmt.Errorf("device '%s' must be declared before you can connect to it", name)
	}
	fencePart := device.Parts[part]
	if fencePart == nil {
		return fmt.Errorf("No parallel device '%s:%s' found", name, part)
	}
	node := connectedNode(target)
	if node == "" || node == "0" {
		return fmt.Errorf("node=nodename needed to connect device '%s' to node", name)
	}
	if _, ok := fencePart.Nodes[node]; ok {
		return fmt.Errorf("node '%s' already connected to device '%s:%s'", node, name, part)
	}
	if fencePart.Nodes == nil {
		fencePart.Nodes = map[string][]string{}
	}
	fencePart.Nodes[node] = args
	return nil
}

// trimHorizontal cuts spaces and tabs off both ends of a line of fence.cfg, and
// with them the byte 0xA0, even when it is the end of a UTF-8 character.
func trimHorizontal(line string) string {
	horizontal := func(c byte) bool { return c == ' ' || c == '\t' || c == 0xA0 }
	for line != "" && horizontal(line[0]) {
		line = line[1:]
	}
	for line != "" && horizontal(line[len(line)-1]) {
		line = line[:len(line)-1]
	}
	return line
}

const fieldSpace = "\t\n\v\f\r "

// cutField returns the leading part of s without white space, the white space
// behind it, and what follows.
func cutField(s string) (field, space, rest string) {
	end := strings.IndexAny(s, fieldSpace)
	if end < 0 {
		return s, "", ""
	}
	rest = strings.TrimLeft(s[end:], fieldSpace)
	return s[:end], s[end : len(s)-len(rest)], rest
}

// splitDevice splits "name:2" into the name and the number of the part. The
// name ends at the first character that is no letter, digit or '_'; a number
// counts only right behind it.
func splitDevice(device string) (name, part string) {
	end := wordLength(device)
	if end == 0 {
		return device, "1"
	}
	name, part = device[:end], "1"
	if rest := device[end:]; strings.HasPrefix(rest, ":") {
		digits := rest[1:]
		length := 0
		for length < len(digits) && isDigit(digits[length]) {
			length++
		}
		if digits = digits[:length]; digits != "" && digits != "0" {
			part = digits
		}
	}
	return name, part
}

// connectedNode returns the node's name behind the first "node=" that has one,
// up to the first character that is no letter, digit or '_'.
func connectedNode(target string) string {
	for {
		_, rest, found := strings.Cut(target, "node=")
		if !found {
			return ""
		}
		if length := wordLength(rest); length > 0 {
			return rest[:length]
		}
		target = rest
	}
}

func wordLength(s string) int {
	n := 0
	for n < len(s) && (isLetter(s[n]) || isDigit(s[n]) || s[n] == '_') {
		n++
	}
	return n
}
