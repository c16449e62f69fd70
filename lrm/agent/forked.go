package agent

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"pveha/internal/process"
)

// patience is how long the fork server may take to have a process ready for an
// action. On an idle node that is a few milliseconds.
const patience = 2 * time.Second

// errVanished is that a process has ended in another way than by itself.
var errVanished = errors.New("died")

// forked is the program as a process that the fork server has forked. The first
// lines of action/guest-action tell what is said on the connection.
type forked struct {
	conn  net.Conn
	words *bufio.Reader // from the connection
	pid   int
	child *process.Handle
}

// fork has the fork server carry out an action. When it fails, nothing was and
// nothing will be done: the process does nothing before it is told to go, and
// that is what comes last here.
func (a *Agent) fork(args []string, out, aside *os.File) (*forked, error) {
	conn, err := net.DialTimeout("unix", a.cfg.ForkServer, a.patience)
	if err != nil {
		return nil, err
	}
	f := &forked{conn: conn, words: bufio.NewReader(conn)}
	if err := f.prepare(args, out, aside, time.Now().Add(a.patience)); err != nil {
		f.close()
		return nil, err
	}
	// From here on it may act. Less than the whole word is no order to it.
	if _, err := conn.Write([]byte("go\n")); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// prepare has the process take in all that it needs.
func (f *forked) prepare(args []string, out, aside *os.File, deadline time.Time) error {
	if err := f.conn.SetDeadline(deadline); err != nil {
		return err
	}
	pid, err := f.number("pid")
	if err != nil {
		return err
	}
	if pid <= 1 { // as a group it would be ours, or everybody
		return fmt.Errorf("the fork server has no process %d", pid)
	}
	f.pid = pid
	// The process answers below, so it lives until then, and this is a hold on it
	// and on no other.
	if f.child, err = process.Open(pid); err != nil {
		return err
	}
	if _, err := f.conn.Write(request(args, out, aside)); err != nil {
		return err
	}
	line, err := f.words.ReadString('\n')
	if err != nil {
		return err
	}
	if line != "ready\n" {
		return fmt.Errorf("unexpected line '%s' of the fork server", strings.TrimSpace(line))
	}
	return nil
}

// request is what the process has to know.
func request(args []string, out, aside *os.File) []byte {
	var b bytes.Buffer
	add := func(key, value string) { b.WriteString(key + "=" + value + "\x00") }
	add("out", strconv.Itoa(int(out.Fd())))
	add("err", strconv.Itoa(int(aside.Fd())))
	for _, variable := range environment() {
		add("env", variable)
	}
	for _, arg := range args {
		add("arg", arg)
	}
	b.WriteByte(0)
	return b.Bytes()
}

// number reads a line of a word and a number.
func (f *forked) number(word string) (int, error) {
	line, err := f.words.ReadString('\n')
	if err != nil {
		return 0, err
	}
	text, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), word+" ")
	n, err := strconv.Atoi(text)
	if !found || err != nil {
		return 0, fmt.Errorf("unexpected line '%s' of the fork server", strings.TrimSpace(line))
	}
	return n, nil
}

func (f *forked) wait() error {
	defer f.close()
	if err := f.child.Wait(); err != nil {
		return fmt.Errorf("waiting for process %d: %w", f.pid, err)
	}
	// What it said is there by now, and tasks may hold the other end.
	if err := f.conn.SetDeadline(time.Now().Add(drain)); err != nil {
		return err
	}
	code, err := f.number("exit")
	switch {
	case err != nil:
		return errVanished
	case code != 0:
		return fmt.Errorf("exit status %d", code) // as os/exec says it
	}
	return nil
}

func (f *forked) group() int { return f.pid }

// close lets go of the process. Nothing is waiting to be written.
func (f *forked) close() {
	_ = f.conn.Close()
	if f.child != nil {
		_ = f.child.Close()
	}
}
