package agent

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"pveha/internal/ha"
)

// defaultShutdown is how long a guest may take to shut down before it is
// stopped by force, in seconds, when nobody says otherwise: the original's.
const defaultShutdown = "60"

// DefaultSilence is how long the action program may say nothing before a task
// runs. It says something every 5 seconds; what it does until then are checks
// of parameters and storages, and 10 minutes are far more than the cluster file
// system or a storage that comes back at all takes.
const DefaultSilence = 10 * time.Minute

// Paths are where the machine shows its guests. The zero value of a field is
// the real place.
type Paths struct {
	Proc   string // /proc
	Run    string // /var/run: with qemu-server/ID.pid and qemu-server/ID.qmp
	Cgroup string // /sys/fs/cgroup: with lxc/ID and lxc.monitor/ID
}

func (p Paths) withDefaults() Paths {
	return Paths{
		Proc:   cmp.Or(p.Proc, "/proc"),
		Run:    cmp.Or(p.Run, "/var/run"),
		Cgroup: cmp.Or(p.Cgroup, "/sys/fs/cgroup"),
	}
}

// Config is what an agent works with.
type Config struct {
	Node  string // the local node
	Files Files
	Paths Paths
	// Log takes what the original's agents log while an action goes on.
	Log func(ha.Entry)
	// Action is the command line of the action program, without its parameters.
	Action []string
	// ForkServer is the socket of a [ForkServer], which saves most of what a run
	// of the action program costs. Where none listens, or it is "", the program is
	// executed.
	ForkServer string
	// LockDir is a folder for locks that keep a second action from a guest
	// while the first is not done, whatever became of who started it.
	LockDir string
	// Silence is how long the action program may say nothing; zero is
	// [DefaultSilence].
	Silence time.Duration
}

// Agent handles the guests of the local node. It may be used by many
// goroutines.
type Agent struct {
	cfg      Config
	patience time.Duration // with the fork server
}

// New returns an agent. It touches nothing.
func New(cfg Config) *Agent {
	cfg.Paths = cfg.Paths.withDefaults()
	if cfg.Silence == 0 {
		cfg.Silence = DefaultSilence
	}
	if cfg.Log == nil {
		cfg.Log = func(ha.Entry) {}
	}
	return &Agent{cfg: cfg, patience: patience}
}

func (a *Agent) log(level ha.Level, sid ha.SID, format string, args ...any) {
	a.cfg.Log(ha.Entry{Level: level, SID: sid, Text: fmt.Sprintf(format, args...)})
}

// Handles reports whether a type of service is one of guests.
func (a *Agent) Handles(serviceType string) bool {
	for _, k := range kinds {
		if k.serviceType == serviceType {
			return true
		}
	}
	return false
}

// Start starts a guest and waits until the task has ended. That the task did
// is no promise that the guest runs.
func (a *Agent) Start(sid ha.SID) error {
	return a.act(sid, "start")
}

// Shutdown shuts a guest down, by force after timeout seconds if it is a VM,
// and at once when timeout is "0". "" is 60 seconds. It waits until the task
// has ended, which is no promise that the guest is stopped.
func (a *Agent) Shutdown(sid ha.SID, timeout string) error {
	if timeout == "" {
		timeout = defaultShutdown
	}
	if timeout == "0" {
		return a.act(sid, "stop")
	}
	return a.act(sid, "shutdown", "timeout="+timeout)
}

// Migrate moves a guest to another node, a VM while it runs if online is set.
// Otherwise it is shut down first, and so is every container. It returns false
// when the guest is still here.
func (a *Agent) Migrate(sid ha.SID, target string, online bool) (moved bool, err error) {
	online = online && sid.Type() == "vm"
	if !online {
		running, err := a.Running(sid)
		if err != nil {
			return false, err
		}
		if running {
			if err := a.Shutdown(sid, ""); err != nil {
				return false, err
			}
		}
	}
	how := "online=0"
	if online {
		how = "online=1"
	}
	if err := a.act(sid, "migrate", "target="+target, how); err != nil {
		return false, err
	}
	here, err := a.Here(sid)
	return !here && err == nil, err
}

// Here reports whether the configuration of a guest is on the local node.
func (a *Agent) Here(sid ha.SID) (bool, error) {
	name, err := ConfigName(sid, a.cfg.Node)
	if err != nil {
		return false, err
	}
	here, err := a.cfg.Files.Exists(context.Background(), name)
	if err != nil {
		return false, fmt.Errorf("looking for '%s': %w", name, err)
	}
	return here, nil
}

// Lock returns the lock of a guest whose configuration is on the local node, ""
// for none.
func (a *Agent) Lock(sid ha.SID) (string, error) {
	k, err := kindOf(sid)
	if err != nil {
		return "", err
	}
	_, data, err := readConfig(context.Background(), a.cfg.Files, sid, a.cfg.Node)
	if err != nil {
		return "", err
	}
	lock, _ := k.cutLock(data)
	return lock, nil
}
