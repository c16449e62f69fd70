package bed

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The guest-action program of a node: what the real one does through the API,
// this one does to the processes that stand for guests. It says the same lines
// (see lrm/agent/action/guest-action).

// order is one call of guest-action.
type order struct {
	action, kind, id string
	params           map[string]string
}

func (o order) guest() string { return o.kind + ":" + o.id }

func runActionProgram(args []string) int {
	switch {
	case len(args) >= 2 && args[0] == serveVerb:
		return serveActions(args[1])
	case len(args) == 1 && args[0] == attendVerb:
		return attend()
	case os.Getenv(served) != "":
		return runServed(args)
	default:
		return runAction(args)
	}
}

func runAction(args []string) int {
	if len(args) < 3 {
		return complain("usage: guest-action ACTION TYPE ID KEY=VALUE ...")
	}
	o := order{action: args[0], kind: args[1], id: args[2], params: map[string]string{}}
	for _, arg := range args[3:] {
		key, value, _ := strings.Cut(arg, "=")
		o.params[key] = value
	}
	release, err := o.lock()
	if err == nil {
		defer release()
		err = o.misbehave()
	}
	if err == nil {
		err = o.carryOut()
	}
	if err != nil {
		fmt.Println("error " + strings.ReplaceAll(err.Error(), "\n", `\n`))
		return 1
	}
	fmt.Println("done OK")
	return 0
}

// lock keeps a second action from the guest.
func (o order) lock() (release func(), err error) {
	name := o.params["lock"]
	if name == "" {
		return func() {}, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// misbehave does what the ledger orders for this guest.
func (o order) misbehave() error {
	text, err := os.ReadFile((&Ledger{dir: sharedInside}).orderFile(o.guest()))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	switch word {
	case "fail":
		return errors.New("it was told to fail")
	case "hang":
		select {}
	case "slow":
		seconds, err := strconv.Atoi(rest)
		if err != nil {
			return err
		}
		for range seconds {
			fmt.Println("alive")
			time.Sleep(time.Second)
		}
	}
	return err
}

func (o order) carryOut() error {
	switch o.action {
	case "start":
		return o.start()
	case "shutdown", "stop":
		return o.stop()
	case "migrate":
		return o.migrate()
	default:
		return fmt.Errorf("unknown action '%s'", o.action)
	}
}

func (o order) folder() string {
	if o.kind == "ct" {
		return "lxc"
	}
	return "qemu-server"
}

func (o order) config(node string) string {
	return fmt.Sprintf("/etc/pve/nodes/%s/%s/%s.conf", node, o.folder(), o.id)
}

// start refuses what the API refuses: a guest whose configuration is elsewhere,
// or that is locked.
func (o order) start() error {
	config, err := os.ReadFile(o.config(o.params["node"]))
	if err != nil {
		return err
	}
	if strings.HasPrefix(string(config), "lock:") || strings.Contains(string(config), "\nlock:") {
		return errors.New("guest is locked")
	}
	if o.process() != 0 {
		return nil
	}
	ready, readyEnd, err := os.Pipe()
	if err != nil {
		return err
	}
	args := guestArguments(o.kind, o.id)
	guest := &exec.Cmd{
		Path: "/usr/bin/" + filepath.Base(args[0]), Args: args, Dir: "/", Stderr: os.Stderr,
		ExtraFiles: []*os.File{readyEnd}, SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := guest.Start(); err != nil {
		return err
	}
	_ = readyEnd.Close()
	_, _ = ready.Read(make([]byte, 1)) // to the end, which is its readiness or its death
	if o.process() == 0 {
		return errors.New("the guest died while it started")
	}
	return guest.Process.Release()
}

// process is that of the guest on this node, 0 for none.
func (o order) process() int {
	want := strings.Join(guestArguments(o.kind, o.id), "\x00") + "\x00"
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline"); err == nil && string(line) == want {
			return pid
		}
	}
	return 0
}

func (o order) stop() error {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		pid := o.process()
		if pid == 0 {
			return nil
		}
		_ = unix.Kill(pid, unix.SIGTERM) // it may have ended just now
	}
	return errors.New("the guest does not stop")
}

// migrate stops the guest here and gives its configuration away. The target's
// LRM starts it.
func (o order) migrate() error {
	if err := o.stop(); err != nil {
		return err
	}
	return os.Rename(o.config(o.params["node"]), o.config(o.params["target"]))
}
