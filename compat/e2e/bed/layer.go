package bed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ActionProgram is where the LRM finds the program that acts on guests.
const ActionProgram = "/usr/libexec/pveha/guest-action"

// Layer makes a folder to lay over the root of every node: what a node has
// besides Debian.
type Layer struct{ dir string }

// NewLayer begins an empty layer.
func NewLayer(dir string) (*Layer, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	return &Layer{dir: dir}, os.MkdirAll(dir, 0o755)
}

// Dir is the folder.
func (l *Layer) Dir() string { return l.dir }

// Write puts a file in.
func (l *Layer) Write(name, text string, mode os.FileMode) error {
	path := filepath.Join(l.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), mode)
}

// Link puts a symbolic link in.
func (l *Layer) Link(target, name string) error {
	path := filepath.Join(l.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.Symlink(target, path)
}

// Copy puts a program of this machine in.
func (l *Layer) Copy(source, name string) error {
	data, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	return l.Write(name, string(data), 0o755)
}

// Machine adds what stands for hardware, guests and the rest of Proxmox VE: the
// running test binary under the names it answers to, the service of the cluster
// file system, and a journal that keeps everything.
func (l *Layer) Machine() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	const program = "usr/lib/standin"
	problems := []error{
		l.Copy(self, program),
		l.Link("/"+program, ActionProgram),
		l.Link("/"+program, "usr/bin/"+standInVM),
		l.Link("/"+program, "usr/bin/"+standInCT),
		l.Link("/"+program, "usr/sbin/"+standInMux),
		l.Link("/"+program, "usr/sbin/"+standInHands),
		l.Write("etc/systemd/journald.conf.d/rate.conf",
			"[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n", 0o644),
		// Mounts stay to the end of a shutdown, as the daemons need them.
		l.Write("etc/systemd/system/mount.d/keep.conf", "[Unit]\nDefaultDependencies=no\n", 0o644),
		l.Link("/lib/systemd/system/multi-user.target", "etc/systemd/system/default.target"),
		l.Unit("remote-hands", insideUnit),
		l.Unit("copy-journal", journalUnit),
		l.Unit("pve-cluster", clusterUnit),
	}
	for _, unit := range needless {
		problems = append(problems, l.Link("/dev/null", "etc/systemd/system/"+unit))
	}
	return errors.Join(problems...)
}

// needless are units of Debian that only cost time here.
var needless = []string{
	"apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer", "systemd-tmpfiles-clean.timer",
	"e2scrub_all.timer", "e2scrub_reap.service", "console-getty.service", "getty@tty1.service", "getty-static.service",
	"systemd-pcrphase.service", "systemd-pcrphase-sysinit.service", "systemd-update-utmp-runlevel.service",
}

// Daemons adds the product's commands from a folder, and units with the
// directives of the Perl package's.
func (l *Layer) Daemons(bin string) error {
	var problems []error
	for _, name := range []string{"pve-ha-crm", "pve-ha-lrm", "ha-manager"} {
		problems = append(problems, l.Copy(filepath.Join(bin, name), "usr/sbin/"+name))
	}
	problems = append(problems,
		l.Unit("watchdog-mux", muxUnit),
		l.Unit("pve-ha-crm", fmt.Sprintf(daemonUnit, "Cluster HA Resource Manager", "pve-ha-crm", "65", "control-group")),
		l.Unit("pve-ha-lrm", fmt.Sprintf(daemonUnit, "Local HA Resource Manager", "pve-ha-lrm", "infinity", "process")),
	)
	return errors.Join(problems...)
}

// Unit adds a service and enables it.
func (l *Layer) Unit(name, text string) error {
	file := name + ".service"
	return errors.Join(
		l.Write("usr/lib/systemd/system/"+file, text, 0o644),
		l.Link("/usr/lib/systemd/system/"+file, "etc/systemd/system/multi-user.target.wants/"+file),
	)
}

// The cluster file system is a mount from outside of the node.
const clusterUnit = `[Unit]
Description=Cluster file system
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'until test -e /etc/pve/local; do sleep 0.1; done'
`

const muxUnit = `[Unit]
Description=Watchdog multiplexer
[Service]
ExecStart=/usr/sbin/watchdog-mux
Restart=no
`

const daemonUnit = `[Unit]
Description=%[1]s
Wants=pve-cluster.service watchdog-mux.service
After=pve-cluster.service watchdog-mux.service
[Service]
Type=forking
ExecStart=/usr/sbin/%[2]s start
ExecStop=/usr/sbin/%[2]s stop
PIDFile=/run/%[2]s.pid
TimeoutStopSec=%[3]s
KillMode=%[4]s
[Install]
WantedBy=multi-user.target
`
