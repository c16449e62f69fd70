package pveenv

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"pveha/crm/nodestate"
	"pveha/internal/ha"
	"pveha/internal/process"
)

// DefaultNotifyProgram is where the package installs the program that hands a
// message to the notification system of Proxmox VE.
const DefaultNotifyProgram = "/usr/libexec/pveha/notify"

const (
	// notifyTimeout is how long one message may take: it is sent to every
	// target in turn, and a mail server may be slow.
	notifyTimeout = 2 * time.Minute
	// notifyGrace is how long messages may take on after the daemon has ended.
	notifyGrace = 5 * time.Second
	// notifyQueue is how many messages may wait.
	notifyQueue = 64
	// maxNotifyError is how much of what the program says is logged, in bytes.
	maxNotifyError = 2 << 10
)

// NotifyConfig says how people are told that a node is fenced.
type NotifyConfig struct {
	// Program is the command line of the program; nil is
	// [DefaultNotifyProgram].
	Program []string
	// Timeout limits one message; zero is two minutes.
	Timeout time.Duration
}

// notifier hands messages to the notification system, one after the other, in
// a process of its own each. Nobody waits for it.
type notifier struct {
	config NotifyConfig
	log    func(ha.Entry)
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	waiting []nodestate.FenceNotification
	working bool
	closed  bool
	idle    chan struct{} // closed when the last message is done, after close
}

func newNotifier(config NotifyConfig, log func(ha.Entry)) *notifier {
	if config.Program == nil {
		config.Program = []string{DefaultNotifyProgram}
	}
	if config.Timeout == 0 {
		config.Timeout = notifyTimeout
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &notifier{config: config, log: log, ctx: ctx, cancel: cancel, idle: make(chan struct{})}
}

// Notify tells people that a node is fenced. It does not wait; what fails is a
// warning in the journal.
func (c *CRM) Notify(n nodestate.FenceNotification) { c.notifier.add(n) }

func (n *notifier) add(m nodestate.FenceNotification) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || len(n.waiting) >= notifyQueue {
		n.warn(m, errors.New("too many notifications wait to be sent"))
		return
	}
	n.waiting = append(n.waiting, m)
	if !n.working {
		n.working = true
		go n.work()
	}
}

func (n *notifier) work() {
	for {
		n.mu.Lock()
		if len(n.waiting) == 0 {
			n.working = false
			if n.closed {
				close(n.idle)
			}
			n.mu.Unlock()
			return
		}
		m := n.waiting[0]
		n.waiting = n.waiting[1:]
		n.mu.Unlock()
		if err := n.send(m); err != nil {
			n.warn(m, err)
		}
	}
}

// close lets messages go out for a short while, and ends what is left.
func (n *notifier) close() {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return
	}
	n.closed = true
	if !n.working {
		close(n.idle)
	}
	n.mu.Unlock()
	timer := time.AfterFunc(notifyGrace, n.cancel)
	<-n.idle
	timer.Stop()
	n.cancel()
}

func (n *notifier) warn(m nodestate.FenceNotification, err error) {
	n.log(ha.Entry{
		Level: ha.LevelWarning, Node: m.FailedNode,
		Text: fmt.Sprintf("could not notify: %v (%s: %s)", err, m.Prefix, m.Subject),
	})
}

// notifyMessage is what the program reads.
type notifyMessage struct {
	Template string                      `json:"template"`
	Severity string                      `json:"severity"`
	Data     nodestate.FenceNotification `json:"data"`
	Fields   map[string]string           `json:"fields"`
}

func (n *notifier) send(m nodestate.FenceNotification) error {
	// Templates go through lists, and nothing is no list.
	m.Nodes = append([]nodestate.NodeEntry{}, m.Nodes...)
	m.Resources = append([]nodestate.ServiceEntry{}, m.Resources...)
	text, err := json.Marshal(notifyMessage{
		Template: nodestate.NotificationTemplate, Severity: "error", Data: m, Fields: m.Fields(),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(n.ctx, n.config.Timeout)
	defer cancel()
	program := n.config.Program
	cmd := exec.CommandContext(ctx, program[0], program[1:]...)
	cmd.Dir = "/"
	cmd.Stdin = bytes.NewReader(text)
	said := &head{limit: maxNotifyError}
	cmd.Stderr = said
	// The program and whatever it has started go together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err = process.Start(cmd); err == nil {
		err = cmd.Wait()
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the program '%s' is missing, nobody is told of fenced nodes: reinstall the package", program[0])
	case ctx.Err() != nil:
		return fmt.Errorf("the notification system did not answer within %v", n.config.Timeout)
	case said.String() != "":
		return errors.New(said.String())
	}
	return fmt.Errorf("the program '%s' failed: %w", program[0], err)
}

// head keeps the beginning of what is written to it.
type head struct {
	text  bytes.Buffer
	limit int
}

func (h *head) Write(p []byte) (int, error) {
	h.text.Write(p[:min(len(p), h.limit-h.text.Len())])
	return len(p), nil
}

// String returns it as one line.
func (h *head) String() string {
	return strings.Join(strings.FieldsFunc(h.text.String(), func(r rune) bool { return r == '\n' }), "; ")
}
