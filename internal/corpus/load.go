package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// Marker is the file that makes a folder a scenario: the list of commands to
// play.
const Marker = "cmdlist"

// archiveSuffix ends the name of every archive.
const archiveSuffix = ".txtar"

// Case is one scenario.
type Case struct {
	Name  string            // last element of Path, without .txtar
	Path  string            // the folder or archive it was read from
	Files map[string][]byte // content by file name, folders left out
}

// Load reads one scenario: a folder, or a .txtar archive. It fails with the
// path, and with the line where there is one, when path cannot be read, when
// an archive is not well formed, and when the file cmdlist is missing.
func Load(path string) (Case, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Case{}, fmt.Errorf("cannot load scenario: %w", err)
	}
	var files map[string][]byte
	switch {
	case info.IsDir():
		files, err = readFolder(path)
	case isArchive(path):
		files, err = readArchive(path)
	default:
		err = fmt.Errorf("%s: neither a folder nor a %s archive", path, archiveSuffix)
	}
	if err != nil {
		return Case{}, fmt.Errorf("cannot load scenario: %w", err)
	}
	if _, ok := files[Marker]; !ok {
		return Case{}, fmt.Errorf("cannot load scenario: %s holds no file %s", path, Marker)
	}
	name := strings.TrimSuffix(filepath.Base(path), archiveSuffix)
	return Case{Name: name, Path: path, Files: files}, nil
}

func isArchive(path string) bool { return strings.HasSuffix(path, archiveSuffix) }

// readFolder reads the files of one folder. Folders in it, where a run may
// have left its state, are no part of the scenario.
func readFolder(path string) (map[string][]byte, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte, len(entries))
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(path, e.Name()))
		if err != nil {
			return nil, err
		}
		files[e.Name()] = data
	}
	return files, nil
}

func readArchive(path string) (map[string][]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	files, err := parseArchive(data)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return files, nil
}

// parseArchive unpacks an archive. The format has no syntax errors; what could
// not have been a folder is refused here. Errors begin with the line.
func parseArchive(data []byte) (map[string][]byte, error) {
	archive := txtar.Parse(data)
	if len(archive.Files) == 0 {
		return nil, errors.New("1: no line '-- NAME --', so the archive is empty")
	}
	files := make(map[string][]byte, len(archive.Files))
	line := 1 + bytes.Count(archive.Comment, []byte("\n"))
	for _, f := range archive.Files {
		if f.Name != filepath.Base(f.Name) || f.Name == "." || f.Name == ".." {
			return nil, fmt.Errorf("%d: %q is not a plain file name", line, f.Name)
		}
		if _, ok := files[f.Name]; ok {
			return nil, fmt.Errorf("%d: file %q a second time", line, f.Name)
		}
		files[f.Name] = f.Data
		line += 1 + bytes.Count(f.Data, []byte("\n"))
	}
	return files, nil
}
