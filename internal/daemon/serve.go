package daemon

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pveha/internal/ha"
)

// serving is how the daemon is run.
type serving struct {
	debug  bool   // a person reads along
	notify string // socket of systemd, "" for none
	// ready is told once that the daemon has begun, or why it could not.
	ready func(error)
}

// errorPause is the pause after a round that could not go on, and so did not
// wait for the next.
const errorPause = 5 * time.Second

// serve runs the daemon to its end. The caller holds the lock of the pid file.
func (c *command) serve(s serving) int {
	journal := c.OpenJournal(s.debug)
	defer journal.Close(lastWords)
	d := &served{log: func(level ha.Level, text string) { journal.Log(ha.Entry{Level: level, Text: text}) }}

	signals := d.catchSignals()
	defer signal.Stop(signals)

	file := c.pidFile()
	if err := file.write(); err != nil {
		s.ready(err)
		return exitFailure
	}
	defer file.remove()
	d.log(ha.LevelInfo, "starting server")

	loop, err := c.Open(journal.Log)
	if err != nil {
		s.ready(err)
		return exitFailure
	}
	defer loop.Close()
	d.loop = loop
	d.watched = c.Getenv("WATCHDOG_USEC") != ""
	d.notifier, err = NewNotifier(s.notify)
	if err != nil {
		d.log(ha.LevelWarning, fmt.Sprintf("cannot notify systemd: %v", err))
	}
	defer d.notifier.Close()

	messages, stopRelay := relay(signals, loop.Wake)
	defer stopRelay()
	s.ready(nil)
	d.notifier.Send("READY=1")
	d.run(messages)
	d.notifier.Send("STOPPING=1")
	d.log(ha.LevelInfo, "server stopped")
	return exitOK
}

// served is the goroutine that owns the daemon.
type served struct {
	log      func(level ha.Level, text string)
	loop     Loop
	notifier *Notifier
	watched  bool // systemd wants to hear of every round
}

// catchSignals asks for the signals of the Perl daemons, and keeps others from
// ending the daemon: its watchdog would reset the machine.
func (d *served) catchSignals() chan os.Signal {
	signal.Ignore(unix.SIGPIPE, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGVTALRM)
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP)
	return signals
}

// run runs rounds until the daemon ends. What signals ask for is done between
// two of them.
func (d *served) run(messages <-chan os.Signal) {
	for {
		for waiting := true; waiting; {
			select {
			case sig := <-messages:
				d.take(sig)
			default:
				waiting = false
			}
		}
		alive, err := d.iterate()
		if err != nil {
			d.log(ha.LevelErr, fmt.Sprintf("got unexpected error - %s", strings.TrimSpace(err.Error())))
		}
		if !alive {
			return
		}
		if d.watched {
			d.notifier.Send("WATCHDOG=1")
		}
		if err != nil {
			d.pause(messages)
		}
	}
}

// iterate runs a round. A defect that shows as a panic must not end the daemon,
// which would reset the machine: it is an error of the round, as any failure in
// a round is to the Perl daemons. Where every round fails so, nobody refreshes
// the lock nor updates the watchdog, and the machine is reset as it should be.
func (d *served) iterate() (alive bool, err error) {
	defer func() {
		if defect := recover(); defect != nil {
			d.log(ha.LevelErr, fmt.Sprintf("a defect ended this round: %v\n%s", defect, debug.Stack()))
			alive, err = true, fmt.Errorf("%v", defect)
		}
	}()
	return d.loop.Iterate()
}

// pause waits, and ends when a signal comes.
func (d *served) pause(messages <-chan os.Signal) {
	timer := time.NewTimer(errorPause)
	defer timer.Stop()
	select {
	case sig := <-messages:
		d.take(sig)
	case <-timer.C:
	}
}

var signalNames = map[os.Signal]string{unix.SIGTERM: "TERM", unix.SIGINT: "INT", unix.SIGQUIT: "QUIT", unix.SIGHUP: "HUP"}

// take acts on a signal. A second SIGINT ends the process on the spot, as it
// does the Perl daemons. SIGHUP is told and no more, for the configuration is
// read in every round. (A Perl daemon that got one is replaced by a new process
// when it is to end later; that nobody wants.)
func (d *served) take(sig os.Signal) {
	if sig == unix.SIGINT {
		signal.Reset(unix.SIGINT) // before it is told: who reads that may send the next
	}
	d.log(ha.LevelInfo, "received signal "+signalNames[sig])
	switch sig {
	case unix.SIGHUP:
		d.notifier.Send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonic().Microseconds()))
		d.notifier.Send("READY=1")
	default:
		d.loop.RequestShutdown()
	}
}

// wakePeriod is how often a daemon is woken that has not taken a signal yet: a
// round may begin between the signal and the wake, and forget it.
const wakePeriod = 100 * time.Millisecond

// relay makes signals messages for the goroutine that owns the daemon, and
// wakes it until it has taken them. Signals that come faster than they are
// taken are dropped, as they are by the kernel.
func relay(signals <-chan os.Signal, wake func()) (messages <-chan os.Signal, stop func()) {
	out := make(chan os.Signal, cap(signals))
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(wakePeriod)
		ticker.Stop()
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case sig := <-signals:
				select {
				case out <- sig:
				default:
				}
				wake()
				ticker.Reset(wakePeriod)
			case <-ticker.C:
				if len(out) == 0 {
					ticker.Stop()
					continue
				}
				wake()
			}
		}
	}()
	return out, func() { close(quit); <-done }
}
