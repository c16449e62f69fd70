//go:build e2e

package e2e

import (
	"os"
	"testing"

	"pveha/compat/e2e/bed"
)

// binVariable names the folder of the product's commands. The Makefile sets it.
const binVariable = "PVEHA_E2E_BIN"

var lab = bed.Lab{
	Target: "e2e", Variables: []string{binVariable},
	Furnish: func(machine *bed.Layer) error { return machine.Daemons(os.Getenv(binVariable)) },
}

func TestMain(m *testing.M) { lab.Main(m.Run) }
