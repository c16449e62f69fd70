package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"pveha/pmxcfsio"
)

// Check replays the recordings in the files and reports each one that comes
// out differently, with its ID and the places of difference. It fails when a
// file cannot be read or holds no recording.
func Check(paths []string, out io.Writer) (passed, failed int, err error) {
	list, err := loadExceptions()
	if err != nil {
		return 0, 0, err
	}
	for _, path := range paths {
		recordings, err := load(path)
		if err != nil {
			return passed, failed, err
		}
		for i := range recordings {
			r := &recordings[i]
			o, err := r.replay(context.Background())
			if err != nil {
				return passed, failed, fmt.Errorf("%s: recording %s cannot be replayed: %w", path, r.ID, err)
			}
			differences := list.judge(r.ID, compare(r, o))
			if len(differences) == 0 {
				passed++
				continue
			}
			failed++
			if err := report(out, r, differences); err != nil {
				return passed, failed, err
			}
		}
	}
	return passed, failed, nil
}

func report(out io.Writer, r *recording, differences []difference) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: ha-manager %s: differs\n", r.ID, abridge(strings.Join(r.Argv, " ")))
	for _, d := range differences {
		fmt.Fprintf(&b, "    %s\n", d.text)
	}
	_, err := out.Write(b.Bytes())
	return err
}

// field is what of a call is compared.
type field string

const (
	fieldStdout field = "stdout"
	fieldStderr field = "stderr"
	fieldExit   field = "exit"
	fieldFiles  field = "files"
)

// difference is one thing that is not the same.
type difference struct {
	field field
	text  string
	// leftover marks an exit status that differs in nothing but the error
	// number that the Perl command left behind.
	leftover bool
}

// exitOfPerl is the status with which a Perl program dies when no call left an
// error number behind.
const exitOfPerl = 255

// compare returns what is different between a recording and what came out.
func compare(r *recording, o outcome) []difference {
	var all []difference
	add := func(f field, what, want, got string) {
		if want != got {
			all = append(all, difference{field: f, text: fmt.Sprintf("%s: want %s, got %s", what, abridge(want), abridge(got))})
		}
	}
	add(fieldStdout, "stdout", sortNodes(r.Stdout), sortNodes(o.stdout))
	add(fieldStderr, "stderr", sortErrors(withoutWarnings(r.Stderr)), sortErrors(o.stderr))
	if r.Exit != o.exit {
		all = append(all, difference{
			field: fieldExit, text: fmt.Sprintf("exit: want %d, got %d", r.Exit, o.exit),
			leftover: r.Exit != 0 && r.Exit != exitOfPerl && o.exit != 0,
		})
	}
	want := r.filesAfter()
	names := map[string]bool{}
	for name := range want {
		names[name] = true
	}
	for name := range o.files {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		add(fieldFiles, "file "+name, r.content(want, name), r.content(o.files, name))
	}
	return all
}

// content shows a file that may be missing.
func (r *recording) content(files map[string]string, name string) string {
	data, ok := files[name]
	if !ok {
		return "no file"
	}
	if name == pmxcfsio.RulesFile && len(r.Argv) > 1 && r.Argv[0] == "rules" && r.Argv[1] == "add" {
		sections := strings.SplitAfter(data, "\n\n")
		slices.Sort(sections)
		data = strings.Join(sections, "")
	}
	return "content " + sortNodes(data)
}

// sortNodes brings the nodes of groups into a fixed order.
func sortNodes(text string) string {
	const start = "\tnodes "
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if list, ok := strings.CutPrefix(line, start); ok {
			nodes := strings.Split(list, ",")
			slices.Sort(nodes)
			lines[i] = start + strings.Join(nodes, ",")
		}
	}
	return strings.Join(lines, "\n")
}

// withoutWarnings leaves out what the Perl interpreter has to say about the
// Perl command.
func withoutWarnings(text string) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, "Use of uninitialized value ")
	}), "")
}

// sortErrors brings the lines of a list of errors into a fixed order.
func sortErrors(text string) string {
	if !strings.Contains(text, "400 Parameter verification failed.\n") {
		return text
	}
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// abridge shows a text in one line that is not too long.
func abridge(text string) string {
	const limit = 700
	shown := fmt.Sprintf("%q", text)
	if len(shown) > limit {
		return shown[:limit] + "..."
	}
	return shown
}
