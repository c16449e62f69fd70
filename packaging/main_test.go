//go:build deb

package packaging

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pveha/compat/e2e/bed"
)

var lab = bed.Lab{Target: "package-test", Furnish: furnish}

func TestMain(m *testing.M) {
	runStandIn()
	lab.Main(m.Run)
}

// The packages that the nodes see, in debsInside.
const debsInside = "/srv/debs"

const (
	firstOurs  = "0.9.0"
	secondOurs = "0.9.1"
	firstPerl  = "5.2.0"
	secondPerl = "5.2.1"
)

func oursFile(version string) string {
	return fmt.Sprintf("%s/pve-ha-go_%s_%s.deb", debsInside, version, architecture())
}

func perlFile(version string) string {
	return fmt.Sprintf("%s/pve-ha-manager_%s.deb", debsInside, version)
}

func architecture() string {
	out, err := exec.Command("dpkg", "--print-architecture").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// furnish builds the packages and lays what a node of Proxmox VE has over the
// root.
func furnish(machine *bed.Layer) error {
	debs := filepath.Join(machine.Dir(), debsInside)
	if err := os.MkdirAll(debs, 0o755); err != nil {
		return err
	}
	return errors.Join(
		// Those places are the packages'.
		os.Remove(filepath.Join(machine.Dir(), bed.ActionProgram)),
		os.Remove(filepath.Join(machine.Dir(), "usr", "sbin", "watchdog-mux")),
		os.RemoveAll(filepath.Join(machine.Dir(), filepath.Dir(bed.ActionProgram))),
		// Without rules that leave manual pages out.
		machine.Write("etc/dpkg/dpkg.cfg.d/99mmdebstrap", "", 0o644),
		linkStandIns(machine),
		buildOurs(debs, firstOurs, architecture()), buildOurs(debs, secondOurs, architecture()),
		buildPerl(debs, firstPerl), buildPerl(debs, secondPerl),
	)
}

// buildOurs builds the package as of a version.
func buildOurs(dir, version string, architectures ...string) error {
	cmd := exec.Command("./build.sh", architectures...)
	cmd.Env = append(os.Environ(), "OUT="+dir, "VERSION="+version)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build.sh: %w\n%s", err, out)
	}
	return nil
}
