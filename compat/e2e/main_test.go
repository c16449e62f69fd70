//go:build e2e

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pveha/compat/e2e/bed"
)

// Where things are, set by the Makefile.
const (
	rootVariable = "PVEHA_E2E_ROOT" // what root.sh made
	binVariable  = "PVEHA_E2E_BIN"  // the product's commands
)

// lab is what all clusters are made of.
type lab struct {
	dir    string // where clusters live
	root   string // what root.sh made
	layers []string
}

var shared lab

func TestMain(m *testing.M) {
	bed.StandIn()
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "e2e-")
	if err == nil {
		err = shared.prepare(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	return m.Run()
}

func (l *lab) prepare(dir string) error {
	l.dir, l.root = dir, os.Getenv(rootVariable)
	bin := os.Getenv(binVariable)
	if l.root == "" || bin == "" {
		return fmt.Errorf("%s and %s must be set: run make e2e", rootVariable, binVariable)
	}
	layer, err := bed.NewLayer(filepath.Join(dir, "layer"))
	if err != nil {
		return err
	}
	l.layers = []string{layer.Dir()}
	return errors.Join(layer.Machine(), layer.Daemons(bin))
}
