package sim

import (
	"fmt"
	"strings"

	"pveha/internal/ha"
)

// The names under which the simulator itself logs.
const (
	logHardware = "hardware"
	logCommands = "cmdlist"
	logRunLoop  = "run-loop"
	logWatchdog = "watchdog"
)

// oddLevels are messages whose level the recorded logs spell differently: the
// Perl LRM gives it with a line break and a tab before the word, by a slip.
var oddLevels = map[string]string{
	"Restarting LRM in maintenance mode may be delayed until all services are moved": "\n\t    info",
}

// levelWidth is how much of a daemon's log level is shown.
const levelWidth = 4

// logf writes a log line of the simulator itself.
func (c *Cluster) logf(level ha.Level, from, format string, args ...any) {
	c.writeLog(string(level), c.now, from, fmt.Sprintf(format, args...))
}

// logDaemon writes a log line of a daemon. Debug messages are left out.
func (c *Cluster) logDaemon(e *env, level, text string) {
	if level == string(ha.LevelDebug) {
		return
	}
	if odd, ok := oddLevels[text]; ok {
		level = odd
	}
	if len(level) > levelWidth {
		level = level[:levelWidth]
	}
	c.writeLog(level, e.now, e.node.name+"/"+e.daemon, text)
}

// Line is one line of the log.
type Line struct {
	At    ha.Epoch
	Level string // cut to four letters in lines of daemons
	From  string // NODE/crm, NODE/lrm, or the part of the simulator that says it
	Text  string
}

// String is the line as the recorded logs have it.
func (l Line) String() string {
	return fmt.Sprintf("%-5s %5d %12s: %s", l.Level, l.At, l.From, l.Text)
}

func (c *Cluster) writeLog(level string, at ha.Epoch, from, text string) {
	if c.muted {
		return
	}
	line := Line{At: at, Level: level, From: from, Text: strings.TrimSuffix(text, "\n")}
	if c.opts.OnLine != nil {
		c.opts.OnLine(line)
	}
	if c.opts.Log != nil {
		fmt.Fprintln(c.opts.Log, line)
	}
}
