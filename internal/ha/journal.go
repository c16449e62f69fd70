package ha

// Level is the severity of a journal entry.
type Level string

// The levels, by their syslog names.
const (
	LevelDebug   Level = "debug"
	LevelInfo    Level = "info"
	LevelNotice  Level = "notice"
	LevelWarning Level = "warning"
	LevelErr     Level = "err"
)

// Entry is one line for the journal. Text is interface: tools and people match
// it. SID and Node name what the entry is about, where it is about one thing.
type Entry struct {
	Level Level
	Text  string
	SID   SID
	Node  string
}
