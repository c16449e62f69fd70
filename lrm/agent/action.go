package agent

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"pveha/internal/ha"
)

const (
	// grace is how long a silent program has between SIGTERM and SIGKILL.
	grace = 10 * time.Second
	// drain is how long what a dead program has said may take to be read.
	// Others may hold its end of the pipe, so that there is no end to wait for.
	drain = 200 * time.Millisecond
	// maxLine is the longest line that a program may say, in bytes.
	maxLine = 1 << 20
)

// said is a line from the action program.
type said struct {
	text  string
	aside bool // on standard error
}

// action is one action on a guest.
type action struct {
	agent *Agent
	sid   ha.SID
	what  string     // for texts
	run   run        // of the action program
	lines chan said  // closed when nothing more can come
	ended chan error // what became of the program, once

	task    string // UPID of the task it waits for, "" before there is one
	done    bool   // it said that the task has ended
	failure string // what the API died with
}

// act carries out one action on a guest, and waits until its task has ended.
func (a *Agent) act(sid ha.SID, name string, params ...string) error {
	if _, err := kindOf(sid); err != nil {
		return err
	}
	if len(a.cfg.Action) == 0 {
		return fmt.Errorf("%s %s: no program is set for actions", name, sid)
	}
	args := append([]string{name, sid.Type(), sid.Name(), "node=" + a.cfg.Node}, params...)
	if a.cfg.LockDir != "" {
		args = append(args, "lock="+filepath.Join(a.cfg.LockDir, sid.Type()+"-"+sid.Name()+".action"))
	}
	x := &action{
		agent: a, sid: sid, what: fmt.Sprintf("%s %s %s", filepath.Base(a.cfg.Action[0]), name, sid),
		lines: make(chan said), ended: make(chan error, 1),
	}
	if err := x.start(args); err != nil {
		return fmt.Errorf("%s: %w", x.what, err)
	}
	return x.wait()
}

// start has the program run, and listens to it.
func (x *action) start(args []string) error {
	out, outEnd, err := os.Pipe()
	if err != nil {
		return err
	}
	defer outEnd.Close()
	aside, asideEnd, err := os.Pipe()
	if err != nil {
		return errors.Join(err, out.Close())
	}
	defer asideEnd.Close()
	if x.run, err = x.agent.begin(args, outEnd, asideEnd); err != nil {
		return errors.Join(err, out.Close(), aside.Close())
	}
	var listeners sync.WaitGroup
	listeners.Go(func() { x.listen(out, false) })
	listeners.Go(func() { x.listen(aside, true) })
	go func() {
		err := x.run.wait()
		// What it said is there by now, and a deadline cannot fail on a pipe.
		_ = out.SetReadDeadline(time.Now().Add(drain))
		_ = aside.SetReadDeadline(time.Now().Add(drain))
		listeners.Wait()
		close(x.lines)
		x.ended <- err
	}()
	return nil
}

// listen passes on the lines of one pipe to its end.
func (x *action) listen(pipe *os.File, aside bool) {
	defer pipe.Close()
	lines := bufio.NewScanner(pipe)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		x.lines <- said{lines.Text(), aside}
	}
	// Whatever ended the lines, the program must not block on what it says.
	_, _ = io.Copy(io.Discard, pipe)
}

// wait follows the program to its end, and its task if the program dies first.
func (x *action) wait() error {
	silence := time.NewTimer(x.agent.cfg.Silence)
	defer silence.Stop()
	silent := false
	for lines := x.lines; lines != nil; {
		select {
		case line, open := <-lines:
			if !open {
				lines = nil
				break
			}
			x.hear(line)
			silence.Reset(x.agent.cfg.Silence)
		case <-silence.C:
			x.signal(silent)
			silent = true
			silence.Reset(min(grace, x.agent.cfg.Silence))
		}
	}
	return x.judge(<-x.ended, silent)
}

// signal ends a silent program and what it started, but for the task: that has
// a process group of its own, and goes on.
func (x *action) signal(again bool) {
	signal := syscall.SIGTERM
	if again {
		signal = syscall.SIGKILL
	} else {
		x.agent.log(ha.LevelErr, x.sid, "%s: no sign of life for %v, ending it", x.what, x.agent.cfg.Silence)
	}
	// It may have ended just now.
	_ = syscall.Kill(-x.run.group(), signal)
}

// hear takes in one line.
func (x *action) hear(line said) {
	word, text, _ := strings.Cut(line.text, " ")
	text = unescape.Replace(text)
	if line.aside {
		x.agent.log(ha.LevelWarning, x.sid, "%s", line.text)
		return
	}
	switch word {
	case "log":
		level, text, _ := strings.Cut(text, " ")
		x.agent.log(ha.Level(level), x.sid, "%s", text)
	case "task":
		x.task = text
	case "done":
		x.done = true
	case "error":
		x.failure = text
	case "alive":
	default:
		x.agent.log(ha.LevelWarning, x.sid, "%s: unexpected line '%s'", x.what, line.text)
	}
}

// unescape undoes what keeps a text of several lines on one.
var unescape = strings.NewReplacer(`\n`, "\n", `\\`, `\`)

// judge says what became of the action when the program has ended.
func (x *action) judge(err error, silent bool) error {
	switch {
	case x.done && err == nil:
		return nil
	case x.failure != "":
		return errors.New(x.failure)
	case err == nil:
		err = errors.New("ended without a result")
	case silent:
		err = fmt.Errorf("no sign of life for %v (%w)", x.agent.cfg.Silence, err)
	}
	err = fmt.Errorf("%s: %w", x.what, err)
	if x.task == "" {
		return err
	}
	// The task acts on the guest all the same. Nothing else may before it has
	// ended; and what the guest is like then is a better answer than that its
	// watcher died.
	x.agent.log(ha.LevelErr, x.sid, "%v", err)
	return x.agent.followTask(x.sid, x.task)
}
