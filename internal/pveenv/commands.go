package pveenv

import (
	"context"
	"errors"
	"strings"

	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// limbo is commands that may or may not have been taken: the answer to the
// write that emptied the queue is missing. It is only good while this node is
// master: another one takes what is in the queue.
type limbo struct{ content string }

// CommandsPending reports whether any command waits.
func (c *CRM) CommandsPending() (bool, error) {
	raw, err := c.read(pmxcfsio.CommandsFile)
	return len(raw) > 0 || err == nil && c.commands.content != "", err
}

// TakeCommands empties the queue and returns what was in it. A queue that is
// empty is not written.
func (c *CRM) TakeCommands() (string, error) {
	taken, done := "", false
	err := c.domain(func(ctx context.Context) error {
		raw, err := c.fs.Read(ctx, pmxcfsio.CommandsFile)
		if err != nil && !errors.Is(err, pmxcfsio.ErrAbsent) {
			return err
		}
		taken = c.commands.settle(string(raw))
		if len(raw) > 0 {
			if err := c.fs.Write(ctx, pmxcfsio.CommandsFile, []byte{}); err != nil {
				c.commands.doubt(taken, err)
				return err
			}
		}
		done = true
		return nil
	})
	if done {
		if err != nil {
			// The lock could not be given back: it will expire.
			c.log(ha.LevelWarning, "%v", err)
		}
		c.commands = limbo{}
		return taken, nil
	}
	return "", err
}

// settle returns all that waits: what is queued, and before it what was taken
// from the queue by a write whose success nobody told. The queue of a write
// that failed still begins with that.
func (l *limbo) settle(queued string) string {
	if strings.HasPrefix(queued, l.content) {
		return queued
	}
	return l.content + queued
}

// doubt keeps commands after a write of which nobody knows whether it happened.
func (l *limbo) doubt(content string, err error) {
	if errors.Is(err, pmxcfsio.ErrTimeout) || errors.Is(err, pmxcfsio.ErrBusy) ||
		errors.Is(err, context.DeadlineExceeded) {
		l.content = content
	}
}

// domain runs body under the lock that every writer of the HA configuration
// takes.
func (n *node) domain(body func(ctx context.Context) error) error {
	waiting := func(msg string) { n.log(ha.LevelDebug, "%s", msg) }
	return n.fs.Domain(n.ctx, pmxcfsio.HADomain, waiting, body)
}
