// Package console drives an emulated cluster by commands of one line each, for
// people and scripts. Every command is answered with one line that begins with
// "ok" or "error:".
package console

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"pveha/compat/cfsemu"
	"pveha/compat/cfsemu/fusemount"
	"pveha/compat/cfsemu/ipcserve"
)

// Console takes commands for a cluster and what shows it.
type Console struct {
	Cluster *cfsemu.Cluster
	Mounts  *fusemount.Mounts   // nil: commands about mounts are refused
	Servers *ipcserve.Servers   // nil: there is no IPC
	Clock   *cfsemu.ManualClock // nil: the clock cannot be advanced
	Folders []string            // shown in containers beside the mount
}

// Run carries out the commands of in until it ends, the context is done, or
// "quit". It returns an error only when in or out fail. Where it returns before
// in ends, one more line of it may be read and dropped.
func (c *Console) Run(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines, failed := make(chan string), make(chan error, 1)
	go func() {
		scanner := bufio.NewScanner(in)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
		failed <- scanner.Err()
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case line := <-lines:
			if fields := strings.Fields(line); len(fields) > 0 {
				if _, err := fmt.Fprintln(out, c.answer(fields)); err != nil {
					return err
				}
				if fields[0] == "quit" {
					return nil
				}
			}
		}
	}
}

// command is one command: its name, how it is called, and what it does. The
// text it returns follows the "ok".
type command struct {
	name, usage string
	run         func(c *Console, args []string) (string, error)
}

func commands() []command {
	return []command{
		{"help", "", func(*Console, []string) (string, error) { return help(), nil }},
		{"quit", "", func(*Console, []string) (string, error) { return "", nil }},
		{"state", "", (*Console).state},
		{"partition", "NODE...", plainNodes((*cfsemu.Cluster).Partition)},
		{"heal", "[NODE...]", func(c *Console, args []string) (string, error) { return "", c.Cluster.Heal(args...) }},
		{"stop", "NODE", oneNode((*cfsemu.Cluster).Stop)},
		{"start", "NODE", oneNode((*cfsemu.Cluster).Start)},
		{"crash", "NODE", oneNode((*cfsemu.Cluster).Crash)},
		{"poweroff", "NODE", oneNode((*cfsemu.Cluster).PowerOff)},
		{"poweron", "NODE", oneNode((*cfsemu.Cluster).PowerOn)},
		{"corosync", "stop|kill|start NODE", (*Console).corosync},
		{"fault", faultUsage, (*Console).fault},
		{"unfault", "ID|all", (*Console).unfault},
		{"hits", "ID", (*Console).hits},
		{"kv", "NODE KEY [VALUE]", (*Console).kv},
		{"usage", "NODE KEY DATA", (*Console).usage},
		{"log", "NODE TEXT", (*Console).log},
		{"delay", "NODE DURATION", (*Console).delay},
		{"clock", "| clock advance DURATION | clock step NODE DURATION", (*Console).clock},
		{"expose", "NODE PID [TARGET]", (*Console).expose},
		{"withdraw", "NODE", (*Console).withdraw},
	}
}

func help() string {
	var all []string
	for _, c := range commands() {
		all = append(all, strings.TrimSpace(c.name+" "+c.usage))
	}
	return strings.Join(all, " ; ")
}

// errUsage says that the arguments do not fit the command.
type errUsage struct{}

func (errUsage) Error() string { return "wrong arguments" }

func (c *Console) answer(fields []string) string {
	for _, command := range commands() {
		if command.name != fields[0] {
			continue
		}
		text, err := command.run(c, fields[1:])
		switch err.(type) { //nolint:errorlint // made here and never wrapped
		case nil:
			return strings.TrimSpace("ok " + text)
		case errUsage:
			return strings.TrimSpace(fmt.Sprintf("error: use: %s %s", command.name, command.usage))
		}
		return "error: " + strings.ReplaceAll(strings.TrimPrefix(err.Error(), "cfsemu: "), "\n", " ")
	}
	return fmt.Sprintf("error: there is no command %q, see help", fields[0])
}

func oneNode(action func(*cfsemu.Cluster, string) error) func(*Console, []string) (string, error) {
	return func(c *Console, args []string) (string, error) {
		if len(args) != 1 {
			return "", errUsage{}
		}
		return "", action(c.Cluster, args[0])
	}
}

func plainNodes(action func(*cfsemu.Cluster, ...string) error) func(*Console, []string) (string, error) {
	return func(c *Console, args []string) (string, error) {
		if len(args) == 0 {
			return "", errUsage{}
		}
		return "", action(c.Cluster, args...)
	}
}
