package playground

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Names in the folder of a session. Nothing outside of folderSession and
// folderRecordings is ever written.
const (
	folderSession    = "session"
	folderNew        = "session.new" // complete, and about to become folderSession
	folderRecordings = "recordings"
	nameStart        = "start.txtar"
	nameJournal      = "journal"
	nameClock        = "clock"
)

// storeVersion is written into a session, so that a later form is not taken
// for this one.
const storeVersion = 1

// saved is how far a session has come; it is written with every round.
type saved struct {
	Version int     `json:"version"`
	Rounds  int     `json:"rounds"`
	Time    float64 `json:"time"` // simulated seconds, as the page shows them
	Speed   float64 `json:"speed"`
}

// store keeps a session in a folder, and touches nothing outside of it.
type store struct {
	root    *os.Root
	dir     *os.File // locked as long as the store is open
	journal *os.File
}

// openStore opens the folder, which has to be there, and locks it.
func openStore(path string) (*store, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	dir, err := root.Open(".")
	if err == nil {
		if err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			err = errors.Join(err, dir.Close())
			if errors.Is(err, syscall.EWOULDBLOCK) {
				err = fmt.Errorf("%s is in use by another simulator", path)
			}
		}
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &store{root: root, dir: dir}, nil
}

// Close gives the folder free.
func (s *store) Close() error {
	var err error
	if s.journal != nil {
		err = s.journal.Close()
	}
	return errors.Join(err, s.dir.Close(), s.root.Close())
}

// kept is a session as the folder holds it.
type kept struct {
	start   Files // nil: there is none
	actions []Action
	at      saved
	journal int64 // length of the journal up to its last whole line
}

// read reads the session in the folder.
func (s *store) read() (k kept, err error) {
	folder := folderSession
	if _, err := s.root.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		folder = folderNew // a new session was about to take this place
	}
	data, err := s.root.ReadFile(folder + "/" + nameStart)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return k, err
	}
	if k.start, err = ParseArchive(data); err != nil {
		return k, fmt.Errorf("%s/%s: %w", folder, nameStart, err)
	}
	if data, err = s.root.ReadFile(folder + "/" + nameJournal); err != nil {
		return k, err
	}
	if k.actions, err = parseJournal(data); err != nil {
		return k, fmt.Errorf("%s/%s: %w", folder, nameJournal, err)
	}
	k.journal = int64(bytes.LastIndexByte(data, '\n') + 1)
	if data, err = s.root.ReadFile(folder + "/" + nameClock); err != nil {
		return k, err
	}
	if err = strict(data, &k.at); err == nil {
		err = k.at.check()
	}
	if err != nil {
		return k, fmt.Errorf("%s/%s: %w", folder, nameClock, err)
	}
	return k, nil
}

func (at saved) check() error {
	switch {
	case at.Version != storeVersion:
		return fmt.Errorf("version %d is not known here, only %d", at.Version, storeVersion)
	case at.Rounds < 1 || at.Rounds > maxTime:
		return fmt.Errorf("%d rounds cannot be", at.Rounds)
	case at.Time < 0 || at.Time > 2*maxTime:
		return fmt.Errorf("the time %v cannot be", at.Time)
	}
	return checkSpeed(at.Speed)
}

func strict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more follows its end")
	}
	return nil
}

// parseJournal reads one action a line. A last line without its end was cut
// off while it was written: nobody was told that it is kept, so it is not.
func parseJournal(data []byte) ([]Action, error) {
	var actions []Action
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		var a Action
		if err := strict(line, &a); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		actions = append(actions, a)
	}
	return actions, nil
}

// begin puts a new session in the place of the one before, as a whole or not
// at all.
func (s *store) begin(start Files, actions []Action, at saved) error {
	archive, err := FormatArchive("The start of a session of pve-ha-simulator.\n", start)
	if err != nil {
		return err
	}
	var journal bytes.Buffer
	for _, a := range actions {
		journal.Write(journalLine(a))
	}
	if err := s.root.RemoveAll(folderNew + ".tmp"); err != nil {
		return err
	}
	if err := s.root.Mkdir(folderNew+".tmp", 0o755); err != nil {
		return err
	}
	for name, data := range map[string][]byte{nameStart: archive, nameJournal: journal.Bytes(), nameClock: at.encode()} {
		if err := s.writeSynced(folderNew+".tmp/"+name, data); err != nil {
			return err
		}
	}
	if err := s.root.RemoveAll(folderNew); err != nil {
		return err
	}
	if err := s.root.Rename(folderNew+".tmp", folderNew); err != nil {
		return err
	}
	if s.journal != nil {
		if err := s.journal.Close(); err != nil {
			return err
		}
		s.journal = nil
	}
	if err := s.root.RemoveAll(folderSession); err != nil {
		return err
	}
	if err := s.root.Rename(folderNew, folderSession); err != nil {
		return err
	}
	return s.resume(int64(journal.Len()))
}

// resume opens the journal to append to it behind its last whole line.
func (s *store) resume(length int64) error {
	if _, err := s.root.Stat(folderSession); errors.Is(err, fs.ErrNotExist) {
		if err := s.root.Rename(folderNew, folderSession); err != nil {
			return err
		}
	}
	f, err := s.root.OpenFile(folderSession+"/"+nameJournal, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	if err := f.Truncate(length); err != nil {
		return errors.Join(err, f.Close())
	}
	s.journal = f
	return nil
}

func journalLine(a Action) []byte {
	data, err := json.Marshal(a)
	if err != nil {
		panic(err) // text and numbers
	}
	return append(data, '\n')
}

// append keeps an action, on disk when it returns.
func (s *store) append(a Action) error {
	if _, err := s.journal.Write(journalLine(a)); err != nil {
		return err
	}
	return s.journal.Sync()
}

func (at saved) encode() []byte {
	at.Version = storeVersion
	data, err := json.Marshal(at)
	if err != nil {
		panic(err) // numbers
	}
	return append(data, '\n')
}

// save keeps the position.
func (s *store) save(at saved) error {
	const temporary = folderSession + "/" + nameClock + ".tmp"
	if err := s.root.WriteFile(temporary, at.encode(), 0o644); err != nil {
		return err
	}
	return s.root.Rename(temporary, folderSession+"/"+nameClock)
}

func (s *store) writeSynced(name string, data []byte) error {
	f, err := s.root.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// keep puts a recording aside under a name that is free, and returns it.
func (s *store) keep(data []byte) (string, error) {
	if err := s.root.Mkdir(folderRecordings, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s/%d.txtar", folderRecordings, n)
		if _, err := s.root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name, s.writeSynced(name, data)
		} else if err != nil {
			return "", err
		}
	}
}

// scenario reads the files of a scenario or of a working folder of the
// original's simulator, which has no command list. It returns nil for an empty
// folder, and an error for one with other files only.
func (s *store) scenario() (Files, error) {
	entries, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	files, others := Files{}, 0
	for _, e := range entries {
		name := e.Name()
		switch name {
		case fileCommands, fileHardware, fileServices, fileManager, fileRules, fileGroups, fileFence,
			fileDatacenter, fileStatic, fileDynamic:
		case folderSession, folderNew, folderNew + ".tmp", folderRecordings:
			continue
		default:
			if !strings.HasPrefix(name, prefixStatus) {
				others++
				continue
			}
		}
		if files[name], err = s.root.ReadFile(name); err != nil {
			return nil, err
		}
	}
	switch {
	case len(files) == 0 && others == 0:
		return nil, nil
	case len(files) == 0:
		return nil, errNoCluster
	}
	return files, nil
}
