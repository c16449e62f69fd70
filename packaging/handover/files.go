package handover

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// packageName is the package in whose name files are diverted.
const packageName = "pve-ha-go"

// perlPackage is the package whose files are diverted.
const perlPackage = "pve-ha-manager"

// The folders of our package.
const (
	programs = "/usr/libexec/pveha/"
	shared   = "/usr/share/pve-ha-go/"
)

// replacement is a file of the Perl package that a link to one of ours takes the
// place of.
type replacement struct {
	path  string // of the Perl package
	ours  string
	aside string // where the Perl package's is meanwhile
}

// replacements are the files that change hands, programs first.
var replacements = []replacement{
	program("pve-ha-crm"), program("pve-ha-lrm"), program("ha-manager"), program("watchdog-mux"),
	document("/usr/share/bash-completion/completions/", "ha-manager", "ha-manager.bash"),
	document("/usr/share/zsh/vendor-completions/", "_ha-manager", "_ha-manager"),
	document("/usr/share/man/man1/", "ha-manager.1.gz", "ha-manager.1.gz"),
	document("/usr/share/man/man8/", "pve-ha-crm.8.gz", "pve-ha-crm.8.gz"),
	document("/usr/share/man/man8/", "pve-ha-lrm.8.gz", "pve-ha-lrm.8.gz"),
}

func program(name string) replacement {
	path := "/usr/sbin/" + name
	return replacement{path: path, ours: programs + name, aside: path + ".pve-perl"}
}

// document is a file that programs find by listing its folder: the one of the
// Perl package goes into another.
func document(folder, name, ours string) replacement {
	return replacement{path: folder + name, ours: shared + "docs/" + ours, aside: shared + "perl/" + name}
}

// fileState tells whose a replaced file is.
type fileState string

const (
	stateOurs    fileState = "ours"
	stateTheirs  fileState = "theirs"
	stateHalfway fileState = "halfway"
	stateForeign fileState = "diverted by somebody else"
)

// inspect tells whose the file is.
func (n *Node) inspect(r replacement) (fileState, error) {
	owner, err := n.diverted(r)
	if err != nil {
		return "", err
	}
	linked := n.linked(r.ours, r.path)
	switch {
	case owner != "" && owner != packageName:
		return stateForeign, nil
	case owner == packageName && linked:
		return stateOurs, nil
	case owner == "" && !linked && !n.there(r.aside):
		return stateTheirs, nil
	}
	return stateHalfway, nil
}

// diverted returns the package that diverts the file, "" for none.
func (n *Node) diverted(r replacement) (string, error) {
	out, err := n.Run("dpkg-divert", "--listpackage", r.path)
	if err != nil {
		return "", fmt.Errorf("cannot tell whether %s is diverted: %w", r.path, err)
	}
	return strings.TrimSpace(out), nil
}

// linked tells whether there is a link to the target at path.
func (n *Node) linked(target, path string) bool {
	got, err := os.Readlink(n.at(path))
	return err == nil && got == target
}

func (n *Node) there(path string) bool {
	_, err := os.Lstat(n.at(path))
	return err == nil
}

// replace puts ours in the place of a file. It may be called in any state.
func (n *Node) replace(r replacement) error {
	state, err := n.inspect(r)
	switch {
	case err != nil:
		return err
	case state == stateForeign:
		return fmt.Errorf("%s is diverted by another package: see dpkg-divert --list", r.path)
	case state == stateOurs:
		return nil
	}
	// Without --rename, for that would leave nothing in its place for a moment.
	if _, err := n.Run("dpkg-divert", "--quiet", "--package", packageName, "--add", "--no-rename", "--divert", r.aside, r.path); err != nil {
		return fmt.Errorf("cannot divert %s: %w", r.path, err)
	}
	if !n.linked(r.ours, r.path) && n.there(r.path) && !n.there(r.aside) {
		err := os.MkdirAll(filepath.Dir(n.at(r.aside)), 0o755)
		if err == nil {
			err = os.Link(n.at(r.path), n.at(r.aside))
		}
		if err != nil {
			return fmt.Errorf("cannot keep %s: %w", r.path, err)
		}
	}
	return n.link(r.ours, r.path)
}

// restore puts the Perl package's file back. It may be called in any state.
func (n *Node) restore(r replacement) error {
	state, err := n.inspect(r)
	switch {
	case err != nil:
		return err
	case state == stateTheirs || state == stateForeign:
		return nil
	}
	if err := n.bringBack(r); err != nil {
		return fmt.Errorf("cannot restore %s: %w", r.path, err)
	}
	owner, err := n.diverted(r)
	if err != nil || owner == "" {
		return err
	}
	if _, err := n.Run("dpkg-divert", "--quiet", "--package", packageName, "--remove", "--no-rename", r.path); err != nil {
		return fmt.Errorf("cannot end the diversion of %s: %w", r.path, err)
	}
	return nil
}

func (n *Node) bringBack(r replacement) error {
	aside, err := os.Lstat(n.at(r.aside))
	if errors.Is(err, fs.ErrNotExist) {
		if n.linked(r.ours, r.path) {
			return os.Remove(n.at(r.path)) // the Perl package has none
		}
		return nil
	}
	if err != nil {
		return err
	}
	if there, err := os.Lstat(n.at(r.path)); err == nil && os.SameFile(there, aside) {
		return os.Remove(n.at(r.aside)) // renaming one name of a file to another does nothing
	}
	return os.Rename(n.at(r.aside), n.at(r.path))
}

// link puts a link at path, in one step.
func (n *Node) link(target, path string) error {
	if n.linked(target, path) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(n.at(path)), 0o755); err != nil {
		return err
	}
	fresh := n.at(path) + ".pve-ha-new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, fresh); err != nil {
		return err
	}
	return os.Rename(fresh, n.at(path))
}

// unlink takes a link to the target away, and its folder if it was the last
// file in it.
func (n *Node) unlink(target, path string) error {
	if !n.linked(target, path) {
		return nil
	}
	if err := os.Remove(n.at(path)); err != nil {
		return err
	}
	_ = os.Remove(filepath.Dir(n.at(path))) // fails where others have files there
	return nil
}
