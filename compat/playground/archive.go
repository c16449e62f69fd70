package playground

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Files are the files of a scenario, by name.
type Files map[string][]byte

// Names of files in a scenario that the playground itself looks at.
const (
	fileCommands   = "cmdlist"
	fileHardware   = "hardware_status"
	fileServices   = "service_config"
	fileManager    = "manager_status"
	fileRules      = "rules_config"
	fileGroups     = "groups"
	fileFence      = "fence.cfg"
	fileDatacenter = "datacenter.cfg"
	fileStatic     = "static_service_stats"
	fileDynamic    = "dynamic_service_stats"
	fileLog        = "log.expect"
	prefixStatus   = "service_status_"
)

// FormatArchive writes files as a .txtar archive, the command list first and
// the log last. A file that has no line feed at its end gets one, and a file
// with a line that looks like the head of another cannot be written.
func FormatArchive(comment string, files Files) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(comment)
	place := func(name string) int {
		switch name {
		case fileCommands:
			return 0
		case fileLog:
			return 2
		}
		return 1
	}
	names := slices.SortedFunc(maps.Keys(files), func(x, y string) int {
		if d := place(x) - place(y); d != 0 {
			return d
		}
		return strings.Compare(x, y)
	})
	for _, name := range names {
		for line := range bytes.Lines(files[name]) {
			if _, ok := archiveHead(line); ok {
				return nil, fmt.Errorf("%s holds a line that would end it in an archive: %q", name, line)
			}
		}
		fmt.Fprintf(&b, "-- %s --\n", name)
		b.Write(files[name])
		if n := len(files[name]); n > 0 && files[name][n-1] != '\n' {
			b.WriteByte('\n')
		}
	}
	return b.Bytes(), nil
}

// ParseArchive reads a .txtar archive. Errors begin with the line.
func ParseArchive(data []byte) (Files, error) {
	files := Files{}
	name, number := "", 0
	for line := range bytes.Lines(data) {
		number++
		head, ok := archiveHead(line)
		switch {
		case !ok:
			if name != "" {
				files[name] = append(files[name], line...)
			}
			continue
		case strings.ContainsAny(head, `/\`) || head == "." || head == "..":
			return nil, fmt.Errorf("line %d: %q is not a plain file name", number, head)
		case files[head] != nil:
			return nil, fmt.Errorf("line %d: file %q a second time", number, head)
		}
		name, files[head] = head, []byte{}
	}
	if len(files) == 0 {
		return nil, errors.New("no line '-- NAME --', so the archive is empty")
	}
	return files, nil
}

// archiveHead returns the name in a line that begins a file.
func archiveHead(line []byte) (string, bool) {
	text, ok := strings.CutPrefix(strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), "-- ")
	if !ok {
		return "", false
	}
	name, ok := strings.CutSuffix(text, " --")
	name = strings.TrimSpace(name)
	return name, ok && name != ""
}
