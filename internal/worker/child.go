package worker

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"pveha/internal/ha"
	"pveha/internal/process"
	"pveha/lrm"
)

// ExitDied is the exit code of an order that died on its way: what the
// original's workers exit with, -1, as those who wait for them see it.
const ExitDied ha.ExitCode = 255

// lockDescriptor is the descriptor of its guest's lock that a child is started
// with: the first behind the standard ones.
const lockDescriptor = 3

// Child is the program of a child: it carries out the order in the record that
// a pool named on its command line, and leaves the result there. It returns
// the exit code of the process, which is 0 when the result is there.
//
// run does what the order says, and log takes the text of its error: the
// result of an order that failed is [ExitDied], as it is the original's.
func Child(recordFile string, run func(Job) lrm.Outcome, log func(ha.Entry)) int {
	r, lock, err := begin(recordFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// The end of the process would do, but for the garbage collector.
	defer lock.Close()
	// An order is carried out to its end, whatever becomes of the daemon: a
	// signal for the service's whole control group is not meant for it. They
	// are caught and not ignored, because what a child starts would inherit
	// that.
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
	defer signal.Stop(ignored)

	outcome := run(r.Job)
	if outcome.Err != nil {
		log(ha.Entry{Level: ha.LevelErr, SID: r.Order.SID, Text: outcome.Err.Error()})
		outcome.Code = ExitDied
	}
	r.Result = &result{Code: outcome.Code}
	if err := r.write(recordFile); err != nil {
		fmt.Fprintf(os.Stderr, "result %d of '%s' is lost: %v\n", outcome.Code, r.Order.SID, err)
		return 1
	}
	return 0
}

// begin makes this process the one that carries out the order of a record.
func begin(recordFile string) (r record, lock *os.File, err error) {
	r, err = readRecord(recordFile)
	if err != nil {
		return record{}, nil, err
	}
	dir := filepath.Dir(filepath.Dir(recordFile))
	lock, err = inheritLock(lockDescriptor, dir, r.Order.SID)
	if err != nil {
		return record{}, nil, fmt.Errorf("'%s': %w", r.Order.SID, err)
	}
	if r.PID != 0 || r.Result != nil {
		return record{}, nil, fmt.Errorf("%s: process %d has taken this order", recordFile, r.PID)
	}
	state, err := process.Table{}.State(os.Getpid())
	if err != nil {
		return record{}, nil, err
	}
	r.PID, r.Start = os.Getpid(), state.Start
	return r, lock, r.write(recordFile)
}
