package playground

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/golden"
)

// tree reads a folder as a whole.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		if e.IsDir() {
			files[path] = "folder"
			return nil
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		files[path] = string(data)
		return err
	}))
	return files
}

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return dir
}

// good are the files of a session that can be opened.
func good(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	l := openLab(t, dir)
	require.NoError(t, l.Step(8))
	l.do("network node3 off")
	require.NoError(t, l.Step(3))
	die(t, l)
	files := tree(t, dir)
	for name, text := range files {
		if text == "folder" {
			delete(files, name)
		}
	}
	return files
}

// A folder that cannot be understood is refused with a message that says what
// is wrong where, and left as it was.
func TestBrokenFoldersAreRefusedAndLeft(t *testing.T) {
	const start, journal, clock = "session/start.txtar", "session/journal", "session/clock"
	for name, test := range map[string]struct {
		files map[string]string // over a good session
		alone bool              // without one
		want  string
	}{
		"files of something else":    {map[string]string{"letter.txt": "Dear"}, true, "none of its files belongs to a simulated cluster"},
		"hardware is no JSON":        {map[string]string{"hardware_status": "{"}, true, "hardware_status:1:1: unexpected end of JSON input"},
		"a service without a node":   {map[string]string{"service_config": `{"vm:1": {}}`}, true, "service vm:1 has no node"},
		"a command nobody knows":     {map[string]string{"cmdlist": `[["dance node1"]]`}, true, `unknown verb "dance"`},
		"start is no archive":        {map[string]string{start: "hello"}, false, "session/start.txtar: no line '-- NAME --'"},
		"start is no scenario":       {map[string]string{start: "-- cmdlist --\n[[\n"}, false, "session/start.txtar: cmdlist:"},
		"journal is no JSON":         {map[string]string{journal: "power\n"}, false, "session/journal: line 1: invalid character"},
		"journal goes back":          {map[string]string{journal: `{"rounds":9,"at":180,"commands":["network node3 off"]}` + "\n" + `{"rounds":3,"at":70,"commands":["network node3 on"]}` + "\n"}, false, "round 3 comes after round 9"},
		"journal has a wrong time":   {map[string]string{journal: `{"rounds":9,"at":9999,"commands":["network node3 off"]}` + "\n"}, false, "commands at 9999 after 9 rounds: it is 180 then"},
		"journal has no command":     {map[string]string{journal: `{"rounds":9,"at":160,"commands":[]}` + "\n"}, false, "no command given"},
		"journal has an odd command": {map[string]string{journal: `{"rounds":9,"at":166,"commands":["network node9 off"]}` + "\n"}, false, "no such node 'node9'"},
		"journal has an odd key":     {map[string]string{journal: `{"rounds":9,"at":166,"who":"me"}` + "\n"}, false, `unknown field "who"`},
		"clock is empty":             {map[string]string{clock: ""}, false, "session/clock: EOF"},
		"clock of a later version":   {map[string]string{clock: `{"version":2,"rounds":9,"time":1,"speed":1}`}, false, "version 2 is not known here"},
		"clock of nonsense":          {map[string]string{clock: `{"version":1,"rounds":-9,"time":1,"speed":1}`}, false, "-9 rounds cannot be"},
		"clock too fast":             {map[string]string{clock: `{"version":1,"rounds":9,"time":1,"speed":900}`}, false, "speed is 900"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if !test.alone {
				write(t, dir, good(t))
			}
			write(t, dir, test.files)
			before := tree(t, dir)
			_, err := Open(dir)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, dir)
			require.Equal(t, before, tree(t, dir))
		})
	}
}

// A line of the journal that was cut off while it was written was promised to
// nobody; the session goes on without it.
func TestJournalCutOffIsMended(t *testing.T) {
	files := good(t)
	whole := files["session/journal"]
	files["session/journal"] += `{"rounds":11,"at":2`
	dir := write(t, t.TempDir(), files)
	l := openLab(t, dir)
	require.False(t, l.play.history.now.nodes["node3"].Network)
	require.Equal(t, whole, tree(t, dir)["session/journal"])
	l.do("network node3 on")
	want := l.shown()
	die(t, l)
	require.Equal(t, want, openLab(t, dir).shown())
}

// A crash between two renames leaves the new session where it was made.
func TestNewSessionHalfInPlace(t *testing.T) {
	files := map[string]string{}
	for name, text := range good(t) {
		files["session.new"+name[len("session"):]] = text
	}
	dir := write(t, t.TempDir(), files)
	l := openLab(t, dir)
	require.False(t, l.play.history.now.nodes["node3"].Network)
	require.Contains(t, tree(t, dir), "session/journal")
	require.NotContains(t, tree(t, dir), "session.new")
}

// A folder that cannot be written any more is said on the page at once.
func TestFullDiskIsSaid(t *testing.T) {
	dir := t.TempDir()
	l := openLab(t, dir)
	require.NoError(t, os.Rename(dir+"/session", dir+"/elsewhere"))
	require.NoError(t, l.Step(1))
	require.Contains(t, l.clock.Unkept, "the session cannot be kept in its folder")
	require.NoError(t, os.Rename(dir+"/elsewhere", dir+"/session"))
	require.NoError(t, l.Step(1))
	require.Empty(t, l.clock.Unkept)

	l.do("network node3 off")
	require.NoError(t, os.WriteFile(dir+"/recordings", nil, 0o644))
	before := l.shown()
	require.ErrorContains(t, l.Back(1), "cannot put a recording of what was until now aside")
	require.Equal(t, before, l.shown(), "what cannot be put aside is not thrown away")
}

func TestFolderIsUsedOnce(t *testing.T) {
	dir := t.TempDir()
	openLab(t, dir)
	_, err := Open(dir)
	require.ErrorContains(t, err, "is in use by another simulator")
}

func TestNothingOutsideIsTouched(t *testing.T) {
	outside := write(t, t.TempDir(), map[string]string{"secret": "{}"})
	dir := t.TempDir()
	require.NoError(t, os.Symlink(outside+"/secret", dir+"/hardware_status"))
	_, err := Open(dir)
	require.ErrorContains(t, err, "escapes")

	dir = t.TempDir()
	require.NoError(t, os.Symlink(outside, dir+"/session"))
	_, err = Open(dir)
	require.Error(t, err)
	require.Equal(t, map[string]string{".": "folder", "secret": "{}"}, tree(t, outside))
}

// A scenario's own commands are carried out in its time; the folder of the
// original's simulator has none. Its files stay as they were.
func TestScenarioFolder(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{
		"cmdlist":        `[["power node1 on", "power node2 on", "power node3 on"], ["network node3 off"]]`,
		"service_config": `{"vm:1": {"node": "node3", "state": "started"}}`,
		"status/log":     "left by a run",
		"README":         "how it came about",
	})
	before := tree(t, dir)
	l := openLab(t, dir)
	require.NoError(t, l.Step(40))
	require.Equal(t, "node1", l.play.history.now.guests["vm:1"].Node, "recovered")
	l.do("power node3 on")
	require.NoError(t, l.Step(5))
	want := l.shown()
	l.checkRecording()
	die(t, l)
	l = openLab(t, dir)
	require.Equal(t, want, l.shown())
	after := tree(t, dir)
	for name, text := range before {
		require.Equal(t, text, after[name], name)
	}

	bare := openLab(t, write(t, t.TempDir(), map[string]string{"hardware_status": `{"a": {"power": "off", "network": "off"}}`, "service_config": `{}`}))
	require.Len(t, bare.play.history.now.nodes, 1)
}

// Every recorded scenario can be opened, is played to its end, and recorded
// again.
func TestEveryScenarioLoads(t *testing.T) {
	l := openLab(t, t.TempDir())
	for i, c := range golden.Cases(t, "../testdata/recorded", "../testdata/differs") {
		if i%10 != 0 {
			continue // they are many, and much alike here
		}
		require.NoError(t, l.Load(Files(c.Files)), c.Name)
		_, err := l.Recording()
		if l.play.halted == "" {
			require.NoError(t, err, c.Name)
		}
	}
}

func TestBackForgetsAndKeeps(t *testing.T) {
	dir := t.TempDir()
	l := openLab(t, dir)
	require.NoError(t, l.Step(9))
	then := l.shown()
	l.do("network node3 off")
	require.NoError(t, l.Step(9))
	require.NoError(t, l.Back(10))
	require.JSONEq(t, then, l.shown())
	require.Contains(t, tree(t, dir)["recordings/1.txtar"], "network node3 off")
	l.do("service vm:101 stopped")
	require.NoError(t, l.Step(3))
	l.checkRecording()
	want := l.shown()
	die(t, l)
	require.Equal(t, want, openLab(t, dir).shown())
}

func TestArchives(t *testing.T) {
	files := Files{"cmdlist": []byte("[]\n"), "groups": []byte("group: x"), "log.expect": []byte("info\n"), "empty": {}}
	data, err := FormatArchive("a comment\n", files)
	require.NoError(t, err)
	require.Equal(t, "a comment\n-- cmdlist --\n[]\n-- empty --\n-- groups --\ngroup: x\n-- log.expect --\ninfo\n", string(data))
	again, err := ParseArchive(data)
	require.NoError(t, err)
	files["groups"] = []byte("group: x\n")
	require.Equal(t, files, again)

	_, err = FormatArchive("", Files{"a": []byte("-- b --\n")})
	require.ErrorContains(t, err, "would end it")
	for text, want := range map[string]string{
		"-- a --\n-- a --\n": `line 2: file "a" a second time`,
		"-- .. --\n":         `line 1: ".." is not a plain file name`,
		`-- a\b --`:          `line 1: "a\\b" is not a plain file name`,
	} {
		_, err := ParseArchive([]byte(text))
		require.EqualError(t, err, want)
	}
}
