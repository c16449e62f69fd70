package corpus

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

func TestLoadFolderAndArchiveAgree(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/one/cmdlist", "[]\n")
	write(t, dir+"/one/groups", "group: a\n")
	write(t, dir+"/one/status/manager_status", "left by a run\n")
	write(t, dir+"/one.txtar", "what it shows\n-- cmdlist --\n[]\n-- groups --\ngroup: a\n")

	want := map[string][]byte{"cmdlist": []byte("[]\n"), "groups": []byte("group: a\n")}
	for _, path := range []string{dir + "/one", dir + "/one.txtar"} {
		got, err := Load(path)
		require.NoError(t, err)
		require.Equal(t, Case{Name: "one", Path: path, Files: want}, got)
	}
}

func TestLoadErrorsNameFileAndPlace(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/other/readme", "nothing here\n")
	write(t, dir+"/readme", "nothing here\n")
	write(t, dir+"/empty.txtar", "just text\n")
	write(t, dir+"/incomplete.txtar", "-- groups --\n")
	write(t, dir+"/twice.txtar", "text\n-- cmdlist --\n[\n]\n-- groups --\n-- cmdlist --\n[]\n")
	write(t, dir+"/nested.txtar", "-- cmdlist --\n[]\n-- sub/file --\n")
	write(t, dir+"/outside.txtar", "-- .. --\n")

	for name, want := range map[string]string{
		"missing":          "cannot load scenario: stat DIR/missing: no such file or directory",
		"readme":           "cannot load scenario: DIR/readme: neither a folder nor a .txtar archive",
		"other":            "cannot load scenario: DIR/other holds no file cmdlist",
		"empty.txtar":      "cannot load scenario: DIR/empty.txtar:1: no line '-- NAME --', so the archive is empty",
		"incomplete.txtar": "cannot load scenario: DIR/incomplete.txtar holds no file cmdlist",
		"twice.txtar":      `cannot load scenario: DIR/twice.txtar:6: file "cmdlist" a second time`,
		"nested.txtar":     `cannot load scenario: DIR/nested.txtar:3: "sub/file" is not a plain file name`,
		"outside.txtar":    `cannot load scenario: DIR/outside.txtar:1: ".." is not a plain file name`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(filepath.Join(dir, name))
			require.EqualError(t, err, replaceDir(want, dir))
		})
	}
}

func TestLoadReportsUnreadableFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/cmdlist", "[]\n")
	require.NoError(t, os.Symlink("nowhere", dir+"/groups"))

	_, err := Load(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, dir+"/groups")
}
