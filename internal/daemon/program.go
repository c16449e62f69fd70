package daemon

import (
	"cmp"
	"os"
	"time"

	"pveha/internal/ha"
)

// Program is a daemon as its shell sees it.
type Program struct {
	Name    string // of the daemon, its unit and its pid file: "pve-ha-crm"
	PIDFile string // "": /var/run/NAME.pid
	// StopWait is how long a stop waits for the daemon to end before it kills
	// it.
	StopWait time.Duration
	// OpenJournal opens the log, in a process that becomes the daemon or fails
	// to. watched tells that a person reads along on the standard error.
	OpenJournal func(watched bool) Journal
	// Open makes the daemon, in its own process. When it fails there is none,
	// and the error goes to who started it.
	Open func(log func(ha.Entry)) (Loop, error)
	// Verbs are further commands that are not for people, by name.
	Verbs map[string]func(args []string) int

	lockPause time.Duration // between tries for the lock, 0 for a second
}

// Journal takes log lines.
type Journal interface {
	Log(e ha.Entry)
	// Close writes what waits, for as long as the limit at most.
	Close(limit time.Duration)
}

// Loop is the daemon proper. All its methods but Wake belong to the goroutine
// that runs it.
type Loop interface {
	// Iterate is one round. It returns false when the daemon has to end. An
	// error is one that the round could not go on after; the next may.
	Iterate() (alive bool, err error)
	// RequestShutdown makes the daemon end at its next chance. Only the first
	// call counts.
	RequestShutdown()
	// Wake ends the wait of a round that is under way. Any goroutine may call
	// it.
	Wake()
	// Close frees what the daemon holds.
	Close()
}

// Exit codes of the Perl daemons.
const (
	exitOK      = 0
	exitFailure = 255
)

// lastWords is how long the end waits for the journal.
const lastWords = 5 * time.Second

// lock takes the lock of the pid file.
func (p *Program) lock() (*os.File, error) {
	return p.pidFile().lock(cmp.Or(p.lockPause, time.Second))
}

func (p *Program) pidFile() pidFile {
	if p.PIDFile != "" {
		return pidFile(p.PIDFile)
	}
	return pidFile("/var/run/" + p.Name + ".pid")
}
