package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pveha/internal/ha"
)

// Machine is where a command runs.
type Machine struct {
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// StartedByInit tells that systemd, or whoever is process 1, started us. A
	// command that a person gives goes to systemd, which starts us in its turn.
	StartedByInit bool
	Root          bool
	// Systemctl gives a command to systemd.
	Systemctl func(args ...string) error
}

// ThisMachine is the machine this process runs on.
func ThisMachine() Machine {
	return Machine{
		Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
		StartedByInit: os.Getppid() == 1,
		Root:          os.Geteuid() == 0,
		Systemctl:     systemctl,
	}
}

// commandPath is where the Perl daemons look for programs.
const commandPath = "/sbin:/bin:/usr/sbin:/usr/bin"

func systemctl(args ...string) error {
	cmd := exec.Command("systemctl", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("command 'systemctl %s' failed: exit code %d", strings.Join(args, " "), exit.ExitCode())
	}
	return err
}

// Main runs the command that the arguments give, and returns its exit code.
// For the start of the daemon in the foreground that is when it ends.
func (p *Program) Main(m Machine, args []string) int {
	_ = os.Setenv("PATH", commandPath) // fails for a name that is none
	c := command{Program: p, Machine: m}
	if files := takeBackground(m.Getenv); files != nil {
		return c.becomeDaemon(files)
	}
	if len(args) == 0 {
		return c.usage("no command specified")
	}
	if verb := p.Verbs[args[0]]; verb != nil {
		return verb(args[1:])
	}
	name, rest := c.resolve(args[0]), args[1:]
	switch name {
	case "start":
		debug, code := c.parseStart(rest)
		if code != exitOK {
			return code
		}
		return c.start(debug)
	case "stop", "restart", "status":
		if code := c.parseNone(name, rest); code != exitOK {
			return code
		}
	case "help":
		return c.help(rest)
	default:
		return c.usage(fmt.Sprintf("unknown command '%s %s'", p.Name, args[0]))
	}
	switch name {
	case "stop":
		return c.stop()
	case "restart":
		return c.restart()
	default:
		return c.status()
	}
}

type command struct {
	*Program
	Machine
}

// fail tells the person, and the log, why nothing came of it.
func (c *command) fail(err error) int {
	text := strings.TrimSuffix(err.Error(), "\n")
	fmt.Fprintln(c.Stderr, text)
	journal := c.OpenJournal(false)
	journal.Log(ha.Entry{Level: ha.LevelErr, Text: text})
	journal.Close(lastWords)
	return exitFailure
}

// delegate gives the command to systemd.
func (c *command) delegate(verb string) int {
	if err := c.Systemctl(verb, c.Name); err != nil {
		fmt.Fprintln(c.Stderr, err)
		return exitFailure
	}
	return exitOK
}

// start starts the daemon: in the foreground for a person who watches it and
// for a systemd that is told when it is ready, else in the background.
func (c *command) start(debug bool) int {
	if !debug && !c.StartedByInit {
		return c.delegate("start")
	}
	if !c.Root {
		return c.fail(errors.New("start failed - please run as root"))
	}
	lock, err := c.lock()
	if err != nil {
		return c.fail(fmt.Errorf("start failed - %w", err))
	}
	defer lock.Close()
	if debug || c.Getenv("NOTIFY_SOCKET") != "" {
		return c.foreground(debug)
	}
	if err := c.background(lock); err != nil {
		return c.fail(fmt.Errorf("start failed - %w", err))
	}
	return exitOK
}

func (c *command) status() int {
	state := "stopped"
	if _, running := c.pidFile().running(); running {
		state = "running"
	}
	fmt.Fprintln(c.Stdout, state)
	return exitOK
}

func (c *command) restart() int {
	if !c.StartedByInit {
		return c.delegate("restart")
	}
	if code := c.stop(); code != exitOK {
		return code
	}
	return c.start(false)
}

// stopPoll is how often a stop looks whether the daemon has ended.
const stopPoll = 100 * time.Millisecond

// stop ends the daemon, by force when it takes too long. It may be called as
// often as one likes.
func (c *command) stop() int {
	if !c.StartedByInit {
		return c.delegate("stop")
	}
	file := c.pidFile()
	pid, running := file.running()
	if running {
		_ = unix.Kill(pid, unix.SIGTERM) // it may have ended just now
		for end := time.Now().Add(c.StopWait); alive(pid); time.Sleep(stopPoll) {
			if time.Now().After(end) {
				c.kill(pid)
				break
			}
		}
	}
	if file.read() == 0 {
		return exitOK
	}
	// It did not clean up behind itself.
	lock, err := c.lock()
	if err != nil {
		c.fail(fmt.Errorf("cleanup failed - %w", err))
		return exitOK
	}
	defer lock.Close()
	file.remove()
	return exitOK
}

func (c *command) kill(pid int) {
	journal := c.OpenJournal(false)
	journal.Log(ha.Entry{Level: ha.LevelErr, Text: "server still running - send KILL"})
	journal.Close(lastWords)
	_ = unix.Kill(pid, unix.SIGKILL) // it may have ended just now
	for alive(pid) {
		time.Sleep(stopPoll)
	}
}
