package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Walk loads every scenario in the given places, sorted by path and each one
// once. A place is a scenario itself, or a folder with scenarios anywhere
// below it. A place without any is an error, so that a corpus that moved
// cannot pass as a corpus that agrees.
func Walk(paths ...string) ([]Case, error) {
	if len(paths) == 0 {
		return nil, errors.New("no place to look for scenarios given")
	}
	var found []string
	for _, path := range paths {
		in, err := find(path)
		if err != nil {
			return nil, fmt.Errorf("cannot look for scenarios: %w", err)
		}
		if len(in) == 0 {
			return nil, fmt.Errorf("no scenario in %s: neither a folder with a file %s nor a %s archive",
				path, Marker, archiveSuffix)
		}
		found = append(found, in...)
	}
	slices.Sort(found)
	found = slices.Compact(found)

	cases := make([]Case, 0, len(found))
	for _, path := range found {
		c, err := Load(path)
		if err != nil {
			return nil, err
		}
		cases = append(cases, c)
	}
	return cases, nil
}

// find lists the scenarios at and below root. A file given by name is taken
// for a scenario; what it is comes out when it is loaded.
func find(root string) ([]string, error) {
	root = filepath.Clean(root)
	info, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{root}, nil
	}
	var found []string
	// Through DirFS, so that a root that is a symbolic link is followed.
	err = fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", root, err)
		case entry.IsDir():
		case entry.Name() == Marker:
			found = append(found, filepath.Join(root, filepath.Dir(path)))
		case isArchive(path):
			found = append(found, filepath.Join(root, path))
		}
		return nil
	})
	return found, err
}
