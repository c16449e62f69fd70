package hactl

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"pveha/cfgparse"
)

// Exit statuses. The Perl command leaves with 255 whenever it fails, or with
// what some earlier call left behind as an error number; nobody can rely on
// more than that it is not 0.
const (
	exitOK      = 0
	exitProblem = 1 // of the new words: there is something to look at
	exitFailed  = 255
)

// What Cluster.Access returns is wrapped with one of these.
var (
	// ErrUnreachable: pmxcfs does not answer.
	ErrUnreachable = errors.New("cluster file system does not answer")
	// ErrNotMounted: pmxcfs answers, but is not mounted.
	ErrNotMounted = errors.New("pve configuration filesystem (pmxcfs) not mounted")
	// ErrNoQuorum: the cluster file system is read-only.
	ErrNoQuorum = errors.New("cluster not ready - no quorum?")
)

// usageError is a failure of the arguments: its text is followed by how the
// command is used.
type usageError struct {
	text   string            // without newline
	errors map[string]string // by place in the arguments
}

func (e *usageError) Error() string {
	var b strings.Builder
	b.WriteString("400 " + e.text + "\n")
	for _, place := range slices.Sorted(maps.Keys(e.errors)) {
		b.WriteString(place + ": " + e.errors[place] + "\n")
	}
	return b.String()
}

func misuse(text string) error { return &usageError{text: text} }

const verificationFailed = "Parameter verification failed."

// exitError ends a command with a status and says nothing more.
type exitError struct{ status int }

func (e *exitError) Error() string { return "the command has said what is wrong" }

// errorText is the text of a failure, one line feed or more at its end.
func errorText(err error) string {
	text := err.Error()
	var value *cfgparse.ValueError
	if errors.As(err, &value) {
		// The Perl command does not say which of the values it is.
		text = strings.TrimSuffix(text, value.Error()) + value.Err.Error()
	}
	var broken *cfgparse.BrokenError
	if errors.As(err, &broken) {
		text = strings.TrimSuffix(text, broken.Error()) + broken.Reason()
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}
