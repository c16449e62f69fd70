package ha

import (
	"fmt"
	"strings"
)

// CommandKind is the first word of a command for the CRM.
type CommandKind string

// The commands for the CRM.
const (
	CommandMigrate            CommandKind = "migrate"                  // move a service, running
	CommandRelocate           CommandKind = "relocate"                 // stop a service and move it
	CommandStop               CommandKind = "stop"                     // stop a service within a time
	CommandEnableMaintenance  CommandKind = "enable-node-maintenance"  // empty a node of services
	CommandDisableMaintenance CommandKind = "disable-node-maintenance" // take a node back into use
	CommandDisarm             CommandKind = "disarm-ha"                // suspend the HA stack
	CommandArm                CommandKind = "arm-ha"                   // resume the HA stack
)

// Command is one line of ha/crm_commands. Kind says which of the other fields
// count. SID and Node are words as they were given; nothing has looked them up.
type Command struct {
	Kind    CommandKind
	SID     SID        // of Migrate, Relocate and Stop
	Node    string     // of Migrate and Relocate: where to; of the maintenance commands
	Timeout string     // of Stop: seconds, as given
	Mode    DisarmMode // of Disarm
}

// String returns the line for the command, without a newline.
func (c Command) String() string {
	switch c.Kind {
	case CommandMigrate, CommandRelocate:
		return fmt.Sprintf("%s %s %s", c.Kind, c.SID, c.Node)
	case CommandStop:
		return fmt.Sprintf("%s %s %s", c.Kind, c.SID, c.Timeout)
	case CommandEnableMaintenance, CommandDisableMaintenance:
		return fmt.Sprintf("%s %s", c.Kind, c.Node)
	case CommandDisarm:
		return fmt.Sprintf("%s %s", c.Kind, c.Mode)
	case CommandArm:
	}
	return string(c.Kind)
}

// ParseCommand reads a line of ha/crm_commands. Words are separated by white
// space of any length; there may be none before the first and behind the last
// one, except a newline at the end.
func ParseCommand(line string) (Command, error) {
	text := strings.TrimSuffix(line, "\n")
	words := strings.FieldsFunc(text, isSpace)
	unknown := fmt.Errorf("unable to parse crm command: %s", text)
	if len(words) == 0 || isSpace(rune(text[0])) || isSpace(rune(text[len(text)-1])) {
		return Command{}, unknown
	}
	c := Command{Kind: CommandKind(words[0])}
	args := words[1:]
	switch {
	case (c.Kind == CommandMigrate || c.Kind == CommandRelocate) && len(args) == 2:
		c.SID, c.Node = SID(args[0]), args[1]
	case c.Kind == CommandStop && len(args) == 2:
		c.SID, c.Timeout = SID(args[0]), args[1]
	case (c.Kind == CommandEnableMaintenance || c.Kind == CommandDisableMaintenance) && len(args) == 1:
		c.Node = args[0]
	case c.Kind == CommandDisarm && len(args) == 1 &&
		(args[0] == string(DisarmFreeze) || args[0] == string(DisarmIgnore)):
		c.Mode = DisarmMode(args[0])
	case c.Kind == CommandArm && len(args) == 0:
	default:
		return Command{}, unknown
	}
	return c, nil
}

// CommandLines splits the content of ha/crm_commands into its lines. Empty
// lines at the end are none; one in between is a command that nobody can
// parse.
func CommandLines(content string) []string {
	content = strings.TrimRight(content, "\n")
	if content == "" {
		return nil
	}
	return strings.Split(content, "\n")
}
