package bed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// rebootStatus is how systemd-nspawn ends when its container asks to be booted
// again.
const rebootStatus = 133

// pveInside is where a node sees the mounts of all nodes. /etc/pve is a link to
// its own: a mount that comes later shows in a folder, but not on one.
const pveInside = "/srv/pve"

// cutTimeout bounds how long the kernel may take to end all processes.
const cutTimeout = 20 * time.Second

// bootTimeout bounds how long a node may take from power to a running systemd.
const bootTimeout = time.Minute

// Node is a machine of the cluster.
type Node struct {
	Name    string
	cluster *Cluster
	index   int
	dir     string
	board   *board
	// database is the log of the database that pmxcfs has on the node's disk.
	database *os.File

	booting sync.Mutex // held from power on to the end of the boot
	mu      sync.Mutex
	machine *machine // nil while the power is off
}

// machine is a node from power on to power off.
type machine struct {
	command *exec.Cmd
	leader  atomic.Int32  // its first process; 0 until it is known
	over    chan struct{} // closed when it ended
	status  int           // how, valid after over
}

func (n *Node) path(parts ...string) string {
	return filepath.Join(append([]string{n.dir}, parts...)...)
}

// scope is the name of the node's network namespace and control group.
func (n *Node) scope() string { return fmt.Sprintf("%s%s", n.cluster.tag, n.Name) }

// link is the end of the node's network cable in the switch.
func (n *Node) link() string { return fmt.Sprintf("%sv%d", n.cluster.tag, n.index) }

// prepare makes disk, network and board.
func (n *Node) prepare() error {
	for _, sub := range []string{"disk", "work", "root", "board"} {
		if err := os.MkdirAll(n.path(sub), 0o755); err != nil {
			return err
		}
	}
	lower := strings.Join(append(append([]string{}, n.cluster.config.Layers...), n.cluster.config.Root), ":")
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower, n.path("disk"), n.path("work"))
	if err := unix.Mount("overlay", n.path("root"), "overlay", 0, options); err != nil {
		return fmt.Errorf("disk of %s: %w", n.Name, err)
	}
	for name, text := range map[string]string{
		"etc/hostname": n.Name + "\n", "etc/machine-id": "", "etc/hosts": n.cluster.hosts(),
	} {
		if err := os.WriteFile(n.path("root", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.Symlink(filepath.Join(pveInside, n.Name), n.path("root", "etc/pve")); err != nil {
		return err
	}
	if err := n.openDatabase(); err != nil {
		return err
	}
	if err := n.plug(); err != nil {
		return err
	}
	var err error
	n.board, err = newBoard(n.path("board"), func() { n.PowerCut() })
	return err
}

func (n *Node) plug() error {
	ns, link := n.scope(), n.link()
	for _, line := range []string{
		"netns add " + ns,
		"link add name " + link + " type veth peer name eth0 netns " + ns,
		"link set " + link + " master " + n.cluster.bridge() + " up",
		fmt.Sprintf("-n %s addr add %s/24 dev eth0", ns, n.Address()),
		"-n " + ns + " link set eth0 up",
		"-n " + ns + " link set lo up",
	} {
		if err := ip(line); err != nil {
			return err
		}
	}
	return nil
}

// writeDatabase does to the node's disk what pmxcfs does there for every change:
// it writes the log of its database.
func (n *Node) writeDatabase() {
	if _, err := n.database.WriteAt([]byte{0}, 0); err != nil && !n.cluster.closing() {
		n.cluster.problem(fmt.Errorf("database of %s: %w", n.Name, err))
	}
}

// openDatabase makes the log of the database of pmxcfs.
func (n *Node) openDatabase() (err error) {
	dir := n.Disk("var/lib/pve-cluster")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	n.database, err = os.Create(filepath.Join(dir, "config.db-wal"))
	return err
}

// Address of the node in the network of its cluster.
func (n *Node) Address() string { return fmt.Sprintf("10.99.0.%d", n.index) }

func ip(line string) error {
	out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", line, err, bytes.TrimSpace(out))
	}
	return nil
}

// Link plugs the network cable in, or pulls it out, at the switch.
func (n *Node) Link(up bool) error {
	state := "down"
	if up {
		state = "up"
	}
	return ip("link set " + n.link() + " " + state)
}

// PowerOn boots the node and waits until systemd is up.
func (n *Node) PowerOn() error {
	n.booting.Lock()
	defer n.booting.Unlock()
	if n.On() {
		return nil
	}
	n.board.reset()
	m, err := n.start()
	if err != nil {
		return fmt.Errorf("boot %s: %w", n.Name, err)
	}
	n.mu.Lock()
	n.machine = m
	n.mu.Unlock()
	go n.follow(m)
	return n.waitForSystemd(m)
}

func (n *Node) start() (*machine, error) {
	enter := ""
	for _, dir := range controllers() {
		group := filepath.Join(dir, n.scope())
		if err := os.MkdirAll(group, 0o755); err != nil {
			return nil, err
		}
		enter += fmt.Sprintf("echo $$ >%s/cgroup.procs; ", group)
	}
	log, err := os.OpenFile(n.LogFile(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	tools := n.cluster.config.Nspawn
	args := []string{
		"-q", "-D", n.path("root"), "-M", n.scope(), "--hostname=" + n.Name, "-b", "--register=no", "--keep-unit",
		"--bind=/dev/shm", "--bind=" + n.path("board") + ":" + boardInside, "--bind=" + n.cluster.path("shared") + ":" + sharedInside,
		"--bind=" + n.cluster.path("pve") + ":" + pveInside,
		"--capability=CAP_IPC_LOCK,CAP_SYS_NICE,CAP_SYS_PTRACE", "--network-namespace-path=/run/netns/" + n.scope(), "--console=pipe",
	}
	command := exec.Command("sh", append([]string{"-c", enter + `exec "$0" "$@"`, filepath.Join(tools, "usr", "bin", "systemd-nspawn")}, args...)...)
	command.Env = append(os.Environ(), "UNIFIED_CGROUP_HIERARCHY=1",
		fmt.Sprintf("LD_LIBRARY_PATH=%[1]s/usr/lib/x86_64-linux-gnu/systemd:%[1]s/usr/lib/aarch64-linux-gnu/systemd", tools))
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return nil, err
	}
	return &machine{command: command, over: make(chan struct{})}, nil
}

// follow waits for the end of the machine, and boots it again when that was
// what it asked for.
func (n *Node) follow(m *machine) {
	_ = m.command.Wait() // the status tells
	m.status = m.command.ProcessState.ExitCode()
	if m.status == 0 || m.status == rebootStatus {
		n.cluster.shutDown(n)
	} else {
		n.cluster.powerLost(n)
	}
	n.mu.Lock()
	if n.machine == m {
		n.machine = nil
	}
	n.mu.Unlock()
	close(m.over)
	if m.status == rebootStatus && !n.cluster.closing() {
		if err := n.cluster.boot(n); err != nil {
			n.cluster.problem(err)
		}
	}
}

func (n *Node) waitForSystemd(m *machine) error {
	ctx, cancel := context.WithTimeout(context.Background(), bootTimeout)
	defer cancel()
	for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		select {
		case <-m.over:
			return fmt.Errorf("%s ended while it booted: see %s", n.Name, n.LogFile())
		default:
		}
		if m.leader.Load() == 0 {
			m.leader.Store(int32(firstProcess(m.command.Process.Pid)))
			continue
		}
		a, _ := n.ask(ctx, []string{"systemctl", "is-system-running"}) // fails while it starts
		if state := strings.TrimSpace(a.Output); state == "running" || state == "degraded" {
			return nil
		}
	}
	ctx, cancel = context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	jobs, _ := n.ask(ctx, []string{"systemctl", "list-jobs"}) // for the reader only
	return fmt.Errorf("%s did not boot in %s: see %s\n%s", n.Name, bootTimeout, n.LogFile(), jobs.Output)
}

// firstProcess finds the process that is number 1 inside, among the children of
// systemd-nspawn, which has another one while it sets up the container.
func firstProcess(nspawn int) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", nspawn, nspawn))
	if err != nil {
		return 0
	}
	for _, child := range strings.Fields(string(data)) {
		status, err := os.ReadFile("/proc/" + child + "/status")
		if err != nil || !oneInside.Match(status) {
			continue
		}
		pid, _ := strconv.Atoi(child) // the kernel's own number
		return pid
	}
	return 0
}

var oneInside = regexp.MustCompile(`(?m)^NSpid:\s+\d+\s+1$`)

func (n *Node) current() *machine {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.machine
}

// On tells whether the node has power.
func (n *Node) On() bool { return n.current() != nil }

// Leader is the process, seen from outside, whose death is the node's.
func (n *Node) Leader() int {
	m := n.current()
	if m == nil {
		return 0
	}
	return int(m.leader.Load())
}

// PowerCut stops the node in an instant, its cluster file system included: a
// process that waits for that could not be killed.
func (n *Node) PowerCut() {
	m := n.current()
	if m == nil {
		return
	}
	if leader := m.leader.Load(); leader != 0 {
		_ = unix.Kill(int(leader), unix.SIGKILL) // it may have died by itself
	} else {
		_ = m.command.Process.Kill()
	}
	if n.current() == m {
		n.cluster.powerLost(n)
	}
	select {
	case <-m.over:
	case <-time.After(cutTimeout):
		n.cluster.problem(fmt.Errorf("%s has no power and still lives after %s:\n%s", n.Name, cutTimeout, remains(int(m.leader.Load()))))
	}
}

// remains tells what keeps a killed machine from being gone.
func remains(leader int) string {
	if leader == 0 {
		return "its first process is not known"
	}
	out, _ := exec.Command("ps", "-o", "pid,ppid,stat,wchan:32,args", "--ppid", strconv.Itoa(leader), "-p", strconv.Itoa(leader)).CombinedOutput() // for the reader only
	stack, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stack", leader))
	return string(out) + string(stack)
}

// WaitOff waits until the node is off by itself.
func (n *Node) WaitOff(limit time.Duration) error {
	m := n.current()
	if m == nil {
		return nil
	}
	select {
	case <-m.over:
		return nil
	case <-time.After(limit):
		return fmt.Errorf("%s still runs after %s", n.Name, limit)
	}
}

// WatchdogFired is when the node's watchdog cut its power last, zero for never.
func (n *Node) WatchdogFired() time.Time { return n.board.lastFired() }

// LogFile holds the console and the journal of all lives of the node.
func (n *Node) LogFile() string { return n.path("board", "log") }

// Log returns what is in LogFile.
func (n *Node) Log() (string, error) {
	data, err := os.ReadFile(n.LogFile())
	return string(data), err
}

// Disk returns where a file of the node's disk is seen from outside.
func (n *Node) Disk(name string) string { return n.path("root", name) }

// remove takes everything of the node away.
func (n *Node) remove() error {
	n.PowerCut()
	var problems []error
	if n.board != nil {
		problems = append(problems, n.board.close())
	}
	if n.database != nil {
		problems = append(problems, n.database.Close())
	}
	if err := unix.Unmount(n.path("root"), unix.MNT_DETACH); err != nil {
		problems = append(problems, fmt.Errorf("disk of %s: %w", n.Name, err))
	}
	problems = append(problems, ip("netns del "+n.scope()))
	for _, dir := range controllers() {
		problems = append(problems, removeGroup(filepath.Join(dir, n.scope())))
	}
	return errors.Join(problems...)
}
