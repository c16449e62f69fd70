package bed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Commands run inside a node by a service of its own, at whose socket this end
// calls. A process that enters the node from outside would be nobody's child
// there, and its remains would keep the node from going down.

const (
	insideSocket = "inside"
	insideUnit   = `[Unit]
Description=Remote hands
DefaultDependencies=no
[Service]
ExecStart=/usr/sbin/` + standInHands + `
Restart=always
[Install]
WantedBy=multi-user.target
`
	// The journal goes to the board, where it survives its node.
	journalUnit = `[Unit]
Description=Copy of the journal
DefaultDependencies=no
After=systemd-journald.service
[Service]
ExecStartPre=/bin/sh -c 'until ls /run/log/journal/*/*.journal; do sleep 0.05; done >/dev/null 2>&1'
ExecStart=/usr/bin/journalctl --no-pager -f -n all -o short-iso-precise
StandardOutput=append:` + boardInside + `/log
Restart=always
`
)

// runTimeout bounds a command inside a node, unless its caller says otherwise.
const runTimeout = 2 * time.Minute

// request is a command to run.
type request struct{ Args []string }

// answer is what became of it.
type answer struct {
	Output string // both outputs
	Error  string // "" when it succeeded
}

// runHands is the service inside.
func runHands() int {
	path := filepath.Join(boardInside, insideSocket)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return complain("%v", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
	if err != nil {
		return complain("%v", err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return complain("%v", err)
		}
		go serveRequest(conn)
	}
}

// serveRequest runs one command, and ends it when who asked has gone.
func serveRequest(conn net.Conn) {
	defer conn.Close()
	var r request
	if err := json.NewDecoder(conn).Decode(&r); err != nil || len(r.Args) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, conn) // nothing more is said: to the end
		cancel()
	}()
	command := exec.CommandContext(ctx, r.Args[0], r.Args[1:]...)
	command.WaitDelay = time.Second
	out, err := command.CombinedOutput()
	a := answer{Output: string(out)}
	if err != nil {
		a.Error = err.Error()
	}
	_ = json.NewEncoder(conn).Encode(a) // or nobody listens
}

// Run runs a command inside the node and returns its output, the errors' one
// included.
func (n *Node) Run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), runTimeout)
	defer cancel()
	return n.RunContext(ctx, args...)
}

// RunContext is Run with the caller's limit.
func (n *Node) RunContext(ctx context.Context, args ...string) (string, error) {
	if !n.On() {
		return "", fmt.Errorf("%s: the power is off", n.Name)
	}
	a, err := n.ask(ctx, args)
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	if err != nil {
		err = fmt.Errorf("%s: %s: %w: %s", n.Name, strings.Join(args, " "), err, strings.TrimSpace(a.Output))
	}
	return a.Output, err
}

func (n *Node) ask(ctx context.Context, args []string) (a answer, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", n.path("board", insideSocket))
	if err != nil {
		return a, err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer conn.Close()
	if err := json.NewEncoder(conn).Encode(request{args}); err != nil {
		return a, err
	}
	err = json.NewDecoder(conn).Decode(&a)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return a, err
}
