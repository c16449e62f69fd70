package bed

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// sharedInside is where a node sees the folder that all nodes of a cluster
// share.
const sharedInside = "/srv/shared"

// Ledger is the folder that all nodes share, in which guests write down what
// happens to them. A guest holds the lock of its file there for as long as it
// runs, so one that runs twice finds out.
type Ledger struct{ dir string }

// NewLedger makes an empty ledger in a folder.
func NewLedger(dir string) (*Ledger, error) {
	for _, sub := range []string{"guests", "orders"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	return &Ledger{dir: dir}, nil
}

// What a guest notes.
const (
	noteStarted = "started"
	noteStopped = "stopped"
	noteTwice   = "TWICE"
)

// Note is a line of the ledger.
type Note struct {
	At    time.Time
	What  string // started, stopped or TWICE
	Guest string
	Node  string
	PID   int
}

func (l *Ledger) notesFile() string             { return filepath.Join(l.dir, "notes") }
func (l *Ledger) lockFile(guest string) string  { return filepath.Join(l.dir, "guests", guest) }
func (l *Ledger) orderFile(guest string) string { return filepath.Join(l.dir, "orders", guest) }
func (l *Ledger) beatFile(guest string) string {
	return filepath.Join(l.dir, "guests", guest+".beat")
}

// note appends a line. One write below the size of a page is never torn.
func (l *Ledger) note(what, guest string) error {
	f, err := os.OpenFile(l.notesFile(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%d %s %s %s %d\n", time.Now().UnixMilli(), what, guest, host, os.Getpid())
	return errors.Join(err, f.Close())
}

// Notes returns every line so far.
func (l *Ledger) Notes() ([]Note, error) {
	f, err := os.Open(l.notesFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var notes []Note
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var n Note
		var millis int64
		if _, err := fmt.Sscan(lines.Text(), &millis, &n.What, &n.Guest, &n.Node, &n.PID); err != nil {
			return nil, fmt.Errorf("%s: line %q: %w", l.notesFile(), lines.Text(), err)
		}
		n.At = time.UnixMilli(millis)
		notes = append(notes, n)
	}
	return notes, lines.Err()
}

// Running tells whether a guest runs somewhere: whether its lock is held.
func (l *Ledger) Running(guest string) (bool, error) {
	f, err := os.Open(l.lockFile(guest))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// Place is the node that a running guest was started on last.
func (l *Ledger) Place(guest string) (string, error) {
	running, err := l.Running(guest)
	if err != nil || !running {
		return "", err
	}
	notes, err := l.Notes()
	if err != nil {
		return "", err
	}
	place := ""
	for _, n := range notes {
		if n.Guest == guest && n.What == noteStarted {
			place = n.Node
		}
	}
	return place, nil
}

// Starts counts how often a guest was started.
func (l *Ledger) Starts(guest string) (int, error) {
	notes, err := l.Notes()
	count := 0
	for _, n := range notes {
		if n.Guest == guest && n.What == noteStarted {
			count++
		}
	}
	return count, err
}

// Screams returns the lines of guests that ran twice.
func (l *Ledger) Screams() ([]Note, error) {
	notes, err := l.Notes()
	var screams []Note
	for _, n := range notes {
		if n.What == noteTwice {
			screams = append(screams, n)
		}
	}
	return screams, err
}

// Beats counts the seconds in which a guest wrote, over all its lives, and the
// longest pause between two of them.
func (l *Ledger) Beats(guest string) (count int, longest time.Duration, err error) {
	data, err := os.ReadFile(l.beatFile(guest))
	if err != nil {
		return 0, 0, err
	}
	var last int64
	for line := range strings.Lines(string(data)) {
		var millis int64
		if _, err := fmt.Sscan(line, &millis); err != nil {
			return 0, 0, fmt.Errorf("%s: line %q: %w", l.beatFile(guest), line, err)
		}
		if last != 0 {
			longest = max(longest, time.Duration(millis-last)*time.Millisecond)
		}
		last = millis
		count++
	}
	return count, longest, nil
}

// Order makes the next actions on a guest behave as told: "fail", "hang", or
// "slow SECONDS". The empty order is the usual behaviour.
func (l *Ledger) Order(guest, order string) error {
	if order == "" {
		err := os.Remove(l.orderFile(guest))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	return os.WriteFile(l.orderFile(guest), []byte(order), 0o644)
}
