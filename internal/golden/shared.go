package golden

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// sharedVariable names the environment variable that says where the shared
// folder is, when it does not lie beside the checkout.
const sharedVariable = "PVEHA_SHARED"

// Shared returns the path of something in the shared folder: the recordings of
// the Perl stack that are used in place. The folder is ../shared beside the
// checkout, or $PVEHA_SHARED, which may be relative to the checkout.
//
// Without the folder the test is skipped, but it fails where CI=true, since
// continuous integration has the folder. A name that the folder does not hold
// fails the test everywhere. Go does not see that a file outside the module
// changed: after new recordings, run the tests with -count=1.
func Shared(t testing.TB, sub ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	path, err := locate(dir, os.Getenv(sharedVariable), sub)
	switch {
	case err == nil:
		return path
	case errors.Is(err, errNoFolder) && os.Getenv("CI") != "true":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
	return ""
}

// errNoFolder says that there is no shared folder at all.
var errNoFolder = errors.New("no shared folder")

// locate finds sub in the shared folder: the one given, or the one beside the
// checkout that dir is in.
func locate(dir, given string, sub []string) (string, error) {
	folder := given
	if folder == "" {
		folder = filepath.Join("..", "shared")
	}
	if !filepath.IsAbs(folder) {
		root, err := checkout(dir)
		if err != nil {
			return "", err
		}
		folder = filepath.Join(root, folder)
	}
	if _, err := os.Stat(folder); err != nil {
		return "", fmt.Errorf("%w at %s, and $%s names no other", errNoFolder, folder, sharedVariable)
	}
	path := filepath.Join(append([]string{folder}, sub...)...)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the shared folder is incomplete: %w", err)
	}
	return path, nil
}

// checkout returns the root of the checkout that dir is in: the folder with
// go.mod.
func checkout(dir string) (string, error) {
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("no go.mod in %s or above", dir)
		}
	}
}
