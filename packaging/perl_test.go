//go:build deb

package packaging

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// perlFiles are the files of the stand-in of the Perl package: their places, and
// what they are made from.
var perlFiles = map[string]string{
	"usr/sbin/pve-ha-crm":   "daemon",
	"usr/sbin/pve-ha-lrm":   "daemon",
	"usr/sbin/ha-manager":   "ha-manager",
	"usr/sbin/watchdog-mux": "watchdog-mux",

	"usr/lib/systemd/system/pve-ha-crm.service":   "pve-ha-crm.service",
	"usr/lib/systemd/system/pve-ha-lrm.service":   "pve-ha-lrm.service",
	"usr/lib/systemd/system/watchdog-mux.service": "watchdog-mux.service",

	"usr/share/bash-completion/completions/ha-manager": "document",
	"usr/share/bash-completion/completions/pve-ha-crm": "document",
	"usr/share/bash-completion/completions/pve-ha-lrm": "document",
	"usr/share/zsh/vendor-completions/_ha-manager":     "document",
	"usr/share/zsh/vendor-completions/_pve-ha-crm":     "document",
	"usr/share/zsh/vendor-completions/_pve-ha-lrm":     "document",
	"usr/share/man/man1/ha-manager.1.gz":               "document",
	"usr/share/man/man8/pve-ha-crm.8.gz":               "document",
	"usr/share/man/man8/pve-ha-lrm.8.gz":               "document",
	"etc/default/pve-ha-manager":                       "document",

	"DEBIAN/control":   "control",
	"DEBIAN/conffiles": "conffiles",
	"DEBIAN/triggers":  "triggers",
	"DEBIAN/postinst":  "postinst",
	"DEBIAN/prerm":     "prerm",
	"DEBIAN/postrm":    "postrm",
}

// buildPerl makes the stand-in of the Perl package, as of a version.
func buildPerl(dir, version string) error {
	tree, err := os.MkdirTemp("", "perl-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tree)
	problems := []error{os.Chmod(tree, 0o755)}
	for name, source := range perlFiles {
		problems = append(problems, fill(filepath.Join(tree, name), filepath.Join("testdata", "perl", source), version))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	out, err := exec.Command("dpkg-deb", "--root-owner-group", "--build", tree,
		filepath.Join(dir, fmt.Sprintf("pve-ha-manager_%s.deb", version))).CombinedOutput()
	if err != nil {
		return fmt.Errorf("dpkg-deb: %w\n%s", err, out)
	}
	return nil
}

// fill copies a file, with its version, and its mode.
func fill(path, source, version string) error {
	data, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if bytes.HasPrefix(data, []byte("#!")) {
		mode = 0o755
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, bytes.ReplaceAll(data, []byte("@VERSION@"), []byte(version)), mode)
}
