package hactl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"pveha/pmxcfsio"
)

// Run is the command: it carries out the arguments, which do not have the name
// of the program before them, and returns the exit status. It stops soon after
// ctx ended.
func Run(ctx context.Context, env Env, stdio Stdio, args []string) int {
	q := &Query{
		Clock: env.Clock, Host: env.Host, Cluster: readOnly{env.Cluster}, Watcher: env.Watcher, Picture: env.Picture,
		Stdio: stdio, warned: map[string]bool{},
	}
	err := q.run(ctx, env.Editor, args)
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.status
	}
	fmt.Fprint(stdio.Err, errorText(err))
	return exitFailed
}

// Query is what a command works with that changes nothing.
type Query struct {
	Clock   Clock
	Host    Host
	Cluster Cluster
	Watcher Watcher
	Picture func(ctx context.Context) (Picture, error)
	Stdio   Stdio

	warned map[string]bool // the files whose problems were told
}

// readOnly hides what else a file system can do.
type readOnly struct{ Cluster }

// Edit is what a command works with that changes files.
type Edit struct {
	*Query
	Editor Editor
}

// run is Run without the texts of failures.
func (q *Query) run(ctx context.Context, editor Editor, args []string) error {
	r := resolve(args)
	if r.first == "" || r.first == "0" {
		return q.misused("no command specified", nil)
	}
	if r.command == nil && r.first == "verifyapi" {
		return nil // the table is verified by tests
	}
	if err := q.begin(ctx); err != nil {
		return err
	}
	if r.command == nil && r.first == "bashcomplete" {
		return q.completeOldWay(ctx, args[1:])
	}
	if r.group {
		return q.misused("incomplete command '"+r.shown+"'", &r)
	}
	if err := q.Cluster.Access(ctx); err != nil {
		return accessError(err)
	}
	if r.command == nil {
		return q.misused("unknown command '"+r.shown+"'", nil)
	}
	return q.execute(ctx, editor, r)
}

// begin checks what must be right before anything is said about arguments:
// pmxcfs answers, and the command is run by root.
func (q *Query) begin(ctx context.Context) error {
	if err := q.Cluster.Access(ctx); errors.Is(err, ErrUnreachable) {
		return accessError(err)
	}
	if !q.Host.IsRoot() {
		return errors.New("please run as root")
	}
	return nil
}

// accessError is the failure to reach pmxcfs in the words that scripts look
// for. The three numbers are the requests that every call begins with.
func accessError(err error) error {
	if !errors.Is(err, ErrUnreachable) {
		return err
	}
	var b strings.Builder
	for request := 1; request <= 3; request++ {
		fmt.Fprintf(&b, "ipcc_send_rec[%d] failed: %s\n", request, pmxcfsio.Reason(err))
	}
	return fmt.Errorf("%sUnable to load access control list: %s", b.String(), pmxcfsio.Reason(err))
}

// misused prints how commands are written.
func (q *Query) misused(problem string, r *resolved) error {
	printUsage(q.Stdio.Err, problem, r)
	return &exitError{exitFailed}
}

func (q *Query) execute(ctx context.Context, editor Editor, r resolved) error {
	warn := func(text string) { fmt.Fprintln(q.Stdio.Err, text) }
	p, err := r.command.parse(r.args, q.Stdio.charset(), warn)
	if err == nil {
		switch {
		case r.command.write != nil:
			err = r.command.write(ctx, &Edit{Query: q, Editor: editor}, p)
		case r.command.read != nil:
			err = r.command.read(ctx, q, p)
		default:
			err = q.showHelp(p)
		}
	}
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprint(q.Stdio.Err, usage.Error(), r.command.synopsis(r.shown, r.command.new))
		return &exitError{exitFailed}
	}
	return err
}

// showHelp is the command "help".
func (q *Query) showHelp(p params) error {
	if len(p.extra) == 1 && p.extra[0] == "new" {
		fmt.Fprint(q.Stdio.Out, newHelp())
		return nil
	}
	r := resolve(p.extra)
	if r.command == nil && !r.group {
		return q.misused("unknown command '"+r.first+"'", nil)
	}
	var b bytes.Buffer
	verbose := p.get("verbose") != "0"
	switch {
	case r.command != nil && verbose:
		b.WriteString(r.command.fullHelp(r.shown, r.command.new))
	case r.command != nil:
		b.WriteString("USAGE: " + r.command.synopsis(r.shown, r.command.new))
	case verbose:
		b.WriteString(fullHelpOf(r.words, r.shown))
	default:
		b.WriteString("USAGE: " + strings.TrimLeft(shortHelpOf(r.words, r.shown), " "))
	}
	b.WriteByte('\n')
	if q.Stdio.Terminal != nil {
		b.WriteString("There is more that the Perl command does not have: see '" + exeName + " help new'.\n")
	}
	fmt.Fprint(q.Stdio.Out, b.String())
	return nil
}

// newHelp is the full help of what the Perl command does not have.
func newHelp() string {
	var b strings.Builder
	b.WriteString("What the Perl command does not have. It is written out in full, never shortened.\n\n")
	for i := range commands() {
		c := &commands()[i]
		if c.new {
			b.WriteString(c.fullHelp(exeName+" "+c.words, true))
			continue
		}
		for _, o := range shown(c.options, func(name string) bool { return !c.option(name).new }, true) {
			b.WriteString("USAGE: " + exeName + " " + c.words + " --" + o.name + "\n\n" + o.describe("--"+o.name))
		}
	}
	return b.String()
}
