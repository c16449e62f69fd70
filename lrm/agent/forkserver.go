package agent

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"pveha/internal/ha"
	"pveha/internal/process"
)

const (
	// burst is how close two actions must be for a fork server to pay: to load it
	// costs as much as one or two actions.
	burst = time.Minute
	// lookAgain is how long a look at the socket holds, as the server answers it
	// with a process.
	lookAgain = 10 * time.Second
	// tryAgain is how long a server that failed is left alone.
	tryAgain = 10 * time.Minute
	// maxComplaint is how much is logged of what a server said that failed, in
	// bytes.
	maxComplaint = 1024
)

// ForkServerConfig is what a fork server needs.
type ForkServerConfig struct {
	Action []string // as in [Config]
	Socket string   // in a folder of root's alone
	Log    func(ha.Entry)
	// Now is the time; nil is the machine's.
	Now func() time.Time
}

// ForkServer keeps a copy of the action program that has loaded the API while
// many guests are acted on, as after the failure of another node. It starts the
// copy and no more: that ends by itself when it is not needed, and goes on
// without this process.
type ForkServer struct {
	cfg ForkServerConfig

	mu      sync.Mutex
	last    time.Time // an action was announced; zero: none was
	notTill time.Time // there is nothing to do about the server
	busy    bool      // somebody looks after the server
}

// NewForkServer returns a fork server that is not started.
func NewForkServer(cfg ForkServerConfig) *ForkServer {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = func(ha.Entry) {}
	}
	return &ForkServer{cfg: cfg}
}

// Announce tells that a guest is about to be acted on. The second time within a
// minute the server is started if none answers. It waits for nothing, and the
// action has to go without the server if that is not ready.
func (s *ForkServer) Announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	alone := s.last.IsZero() || now.Sub(s.last) > burst
	s.last = now
	if alone || s.busy || now.Before(s.notTill) {
		return
	}
	s.busy, s.notTill = true, now.Add(lookAgain)
	go s.provide()
}

// provide starts a server if there is none, and waits for its end.
func (s *ForkServer) provide() {
	var err error
	if !answers(s.cfg.Socket) {
		err = s.serve()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	if err == nil {
		return
	}
	s.notTill = s.cfg.Now().Add(tryAgain)
	s.cfg.Log(ha.Entry{Level: ha.LevelInfo, Text: fmt.Sprintf("actions take longer, %v", err)})
}

// answers reports whether there is a server that does its work.
func answers(socket string) bool {
	conn, err := net.DialTimeout("unix", socket, patience)
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return false
	}
	n, _ := conn.Read(make([]byte, 1))
	return n > 0
}

// serve is one life of a server.
func (s *ForkServer) serve() error {
	args := slices.Concat(s.cfg.Action[1:], []string{"serve", s.cfg.Socket})
	var said complaint
	cmd := exec.Command(s.cfg.Action[0], args...)
	cmd.Env, cmd.Dir, cmd.Stderr = environment(), "/", &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = time.Second // should it leave something behind that holds its standard error
	what := filepath.Base(s.cfg.Action[0]) + " serve"
	if err := process.Start(cmd); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %s (%w)", what, cmp.Or(said.text(), "no reason given"), err)
	}
	return nil
}

// complaint is the beginning of what a program said.
type complaint struct{ said bytes.Buffer }

// Write takes all, and keeps what fits.
func (c *complaint) Write(p []byte) (int, error) {
	c.said.Write(p[:min(len(p), maxComplaint-c.said.Len())])
	return len(p), nil
}

func (c *complaint) text() string { return strings.TrimSpace(c.said.String()) }
