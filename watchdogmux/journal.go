package watchdogmux

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// queueLines is how many lines may wait for a journal that does not read.
const queueLines = 4096

// Journal writes lines without ever making the caller wait: a journal that
// hangs must not starve the device. Lines that find the queue full are counted
// and left out.
type Journal struct {
	queue   chan entry
	syncs   chan struct{}
	dropped atomic.Int64
	written chan struct{} // closed when the queue was closed and written
	synced  chan struct{}
}

type entry struct {
	text string
	sync bool // in place of a text
}

// JournalConfig says where lines go.
type JournalConfig struct {
	// Writers get each line until one takes it: standard error, which systemd
	// connects to the journal, and then whatever remains when that is gone.
	Writers []io.Writer
	// Sync makes the journal reach the disk. It may take its time, and has
	// nobody to tell that it failed.
	Sync func()
}

// NewJournal starts writing.
func NewJournal(config JournalConfig) *Journal {
	j := &Journal{
		queue: make(chan entry, queueLines), syncs: make(chan struct{}, 1),
		written: make(chan struct{}), synced: make(chan struct{}),
	}
	go j.write(config.Writers)
	go j.sync(config.Sync)
	return j
}

// Log writes a line. It must not be called after Close.
func (j *Journal) Log(text string) { j.put(entry{text: text}) }

// Sync makes the lines so far reach the disk, some time soon.
func (j *Journal) Sync() { j.put(entry{sync: true}) }

func (j *Journal) put(e entry) {
	select {
	case j.queue <- e:
	default:
		j.dropped.Add(1)
	}
}

func (j *Journal) write(writers []io.Writer) {
	defer close(j.written)
	defer close(j.syncs)
	for e := range j.queue {
		if n := j.dropped.Swap(0); n > 0 {
			writeLine(writers, fmt.Sprintf("%d messages were left out", n))
		}
		if !e.sync {
			writeLine(writers, e.text)
			continue
		}
		select {
		case j.syncs <- struct{}{}:
		default: // one waits already, and will cover this one
		}
	}
}

func writeLine(writers []io.Writer, text string) {
	line := []byte(text + "\n")
	for _, w := range writers {
		if _, err := w.Write(line); err == nil {
			return
		}
	}
}

func (j *Journal) sync(run func()) {
	defer close(j.synced)
	for range j.syncs {
		run()
	}
}

// Close writes what waits and syncs what is ordered, for as long as the limit
// at most.
func (j *Journal) Close(limit time.Duration) {
	close(j.queue)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for _, done := range []chan struct{}{j.written, j.synced} {
		select {
		case <-done:
		case <-timer.C:
			return
		}
	}
}
