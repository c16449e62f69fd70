//go:build vm

package vmtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Places in the guest.
const (
	muxPath    = "/usr/sbin/watchdog-mux"
	socketPath = "/run/watchdog-mux.sock"
	markerPath = "/run/watchdog-mux.active"
)

// guest is the first process of the machine.
type guest struct {
	dog string // module of the watchdog
	mux *process
}

// process is a child with its lines.
type process struct {
	cmd    *exec.Cmd
	stderr *os.File // the end that is read
	mutex  sync.Mutex
	lines  []string
	done   chan struct{} // closed when it has ended
}

// up is the time since boot: the monotonic clock, as no guest is suspended.
func up() float64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return float64(ts.Nano()) / 1e9
}

var consoleMutex sync.Mutex

// say writes a line to the console: a word, the time and what is to be said.
func say(word, format string, args ...any) {
	consoleMutex.Lock()
	defer consoleMutex.Unlock()
	fmt.Printf("%s [%.3f] %s\n", word, up(), fmt.Sprintf(format, args...))
}

func figure(format string, args ...any) {
	consoleMutex.Lock()
	defer consoleMutex.Unlock()
	fmt.Printf("FIGURE %s\n", fmt.Sprintf(format, args...))
}

// off ends the machine.
func off() {
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

// check ends the machine, and the test, when something is not as it should be.
// With another program under test it waits, to show whether there is a reset.
func check(ok bool, format string, args ...any) {
	if !ok {
		say("FAIL", format, args...)
		if os.Getenv("linger") != "" {
			time.Sleep(30 * time.Second)
		}
		off()
	}
}

func must(err error, what string) { check(err == nil, "%s: %v", what, err) }

// broken notes that the machine has to be reset from here on.
func broken(what string) {
	say("BROKEN", "%s", what)
	heartbeat()
}

// heartbeat shows until when the machine lives.
func heartbeat() {
	go func() {
		for {
			say("ALIVE", "")
			time.Sleep(250 * time.Millisecond)
		}
	}()
}

// outlive waits for longer than any reset could take.
func outlive() {
	time.Sleep(150 * time.Second)
	say("FAIL", "the machine was not reset")
	off()
}

// runGuest plays a case.
func runGuest() {
	for _, m := range [][3]string{{"proc", "/proc", "proc"}, {"sysfs", "/sys", "sysfs"}, {"dev", "/dev", "devtmpfs"}, {"run", "/run", "tmpfs"}} {
		_ = os.MkdirAll(m[1], 0o755)
		_ = unix.Mount(m[0], m[1], m[2], 0, "")
	}
	if fd, err := unix.Open("/dev/console", unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		for i := range 3 {
			_ = unix.Dup2(fd, i)
		}
	}
	_ = os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
	g := &guest{dog: os.Getenv("dog")}
	name := os.Getenv("case")
	for _, c := range cases {
		if c.name == name {
			say("BOOTED", "%s on %s", name, g.dog)
			c.play(g)
			say("SURVIVED", "%s", name)
			off()
		}
	}
	check(false, "no case has the name %q", name)
}

// modprobe is what the guest has for one: watchdog-mux loads its driver by it.
func modprobe(args []string) int {
	args = slices.DeleteFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") })
	if len(args) == 0 {
		return 1
	}
	options := args[1:]
	if set := os.Getenv("modoptions"); set != "" {
		options = append(options, set)
	}
	for _, load := range []struct{ name, options string }{{"watchdog", ""}, {args[0], strings.Join(options, " ")}} {
		f, err := os.Open("/modules/" + load.name + ".ko")
		if err != nil {
			return 1
		}
		if err := unix.FinitModule(int(f.Fd()), load.options, 0); err != nil && !errors.Is(err, unix.EEXIST) {
			say("MODPROBE", "%s: %v", load.name, err)
			return 1
		}
		f.Close()
	}
	return 0
}

// shell is enough of one for a program that runs modprobe by it.
func shell(args []string) int {
	words := strings.Fields(args[len(args)-1])
	if err := exec.Command(words[0], words[1:]...).Run(); err != nil {
		return 1
	}
	return 0
}

// journalctl shows that the journal was to be synced.
func journalctl(args []string) int {
	console, err := os.OpenFile("/dev/console", os.O_WRONLY, 0)
	if err != nil {
		return 1
	}
	fmt.Fprintf(console, "JOURNAL [%.3f] %s\n", up(), strings.Join(args, " "))
	return 0
}

// client is a client of its own: it connects, says so, and then does what its
// argument says.
func client(args []string) int {
	conn, err := net.Dial("unix", socketPath)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("connected")
	if len(args) > 0 && args[0] == "feed" {
		for {
			if _, err := conn.Write([]byte{0}); err != nil {
				fmt.Println(err)
				return 1
			}
			time.Sleep(10 * time.Second)
		}
	}
	time.Sleep(time.Hour)
	return 0
}

// run starts a program and collects what it writes to standard error.
func run(path string, args []string, prepare func(*exec.Cmd)) *process {
	r, w, err := os.Pipe()
	must(err, "pipe")
	p := &process{cmd: exec.Command(path, args...), stderr: r, done: make(chan struct{})}
	p.cmd.Stderr, p.cmd.Stdout = w, w
	if prepare != nil {
		prepare(p.cmd)
	}
	must(p.cmd.Start(), "start "+path)
	must(w.Close(), "close")
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p
}

// collect reads the lines of a process, shows them, and keeps them.
func (p *process) collect() *process {
	go func() {
		for s := bufio.NewScanner(p.stderr); s.Scan(); {
			say("OUT", "%s", s.Text())
			p.mutex.Lock()
			p.lines = append(p.lines, s.Text())
			p.mutex.Unlock()
		}
	}()
	return p
}

// said waits for a line with the text.
func (p *process) said(text string) {
	for range 100 {
		p.mutex.Lock()
		found := slices.ContainsFunc(p.lines, func(l string) bool { return strings.Contains(l, text) })
		p.mutex.Unlock()
		if found {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	check(false, "nobody said %q", text)
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// ended waits for the end of the process and returns its exit code.
func (p *process) ended() int {
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		check(false, "%s does not end", p.cmd.Path)
	}
	time.Sleep(100 * time.Millisecond) // for its last lines
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) signal(sig os.Signal) { must(p.cmd.Process.Signal(sig), "signal") }

// startMux starts watchdog-mux as the unit does, and waits until it takes
// clients.
func (g *guest) startMux(prepare func(*exec.Cmd)) {
	g.mux = run(muxPath, nil, func(cmd *exec.Cmd) {
		cmd.Env = os.Environ()
		if g.dog != "softdog" { // the default needs no name
			cmd.Env = append(cmd.Env, "WATCHDOG_MODULE="+g.dog)
		}
		if prepare != nil {
			prepare(cmd)
		}
	})
	g.mux.collect()
	g.waitForSocket()
}

func (g *guest) waitForSocket() {
	for range 100 {
		if _, err := os.Stat(socketPath); err == nil {
			time.Sleep(50 * time.Millisecond) // between bind and listen
			return
		}
		check(g.mux.alive(), "watchdog-mux ended at its start")
		time.Sleep(50 * time.Millisecond)
	}
	check(false, "watchdog-mux has no socket")
}

// conn is a client within the first process.
type conn struct{ *net.UnixConn }

// kept keeps the clients from being closed when they are not needed any more.
var kept []conn

func dial() conn {
	c, err := net.Dial("unix", socketPath)
	must(err, "connect")
	unixConn, ok := c.(*net.UnixConn)
	check(ok, "not a Unix socket")
	kept = append(kept, conn{unixConn})
	return kept[len(kept)-1]
}

func (c conn) feed() {
	_, err := c.Write([]byte{0})
	must(err, "update")
}

func (c conn) goodbye() {
	_, err := c.Write([]byte{'V'})
	must(err, "say goodbye")
	must(c.Close(), "close")
}

// feedFor feeds clients every ten seconds, for a time.
func feedFor(seconds int, conns ...conn) {
	for range seconds / 10 {
		for _, c := range conns {
			c.feed()
		}
		time.Sleep(10 * time.Second)
	}
}

// feedDoomed is feedFor when the machine has to be reset meanwhile: whether the
// daemon still reads is its own affair.
func feedDoomed(seconds int, conns ...conn) {
	for range seconds / 10 {
		for _, c := range conns {
			_, _ = c.Write([]byte{0})
		}
		time.Sleep(10 * time.Second)
	}
	outlive()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// settles waits until the daemon has taken note of what its clients did.
func settles() { time.Sleep(1500 * time.Millisecond) }

// memory returns a field of the daemon's memory, in kB.
func (p *process) memory(field string) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	must(err, "read status")
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kB, err := strconv.Atoi(strings.Fields(rest)[0])
			must(err, field)
			return kB
		}
	}
	check(false, "no field %s", field)
	return 0
}

// descriptors returns the number of open ones.
func (p *process) descriptors() int {
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.cmd.Process.Pid))
	must(err, "list descriptors")
	return len(fds)
}

// checkHardened looks at what the kernel knows of the daemon.
func (p *process) checkHardened() {
	dir := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	tasks, err := os.ReadDir(dir + "task")
	must(err, "list threads")
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		must(err, "thread")
		attr, err := unix.SchedGetAttr(tid, 0)
		must(err, "get priority")
		check(attr.Policy == unix.SCHED_RR && attr.Priority > 0, "thread %d has policy %d", tid, attr.Policy)
	}
	check(p.memory("VmLck") > p.memory("VmRSS"), "%d kB are locked", p.memory("VmLck"))
	figure("%d threads, %d descriptors, %d kB resident", len(tasks), p.descriptors(), p.memory("VmRSS"))
	infos, err := filepath.Glob(dir + "fdinfo/*")
	must(err, "list descriptors")
	for _, info := range infos {
		fd := filepath.Base(info)
		data, err := os.ReadFile(info)
		must(err, "read flags")
		_, rest, _ := strings.Cut(string(data), "flags:\t")
		flags, err := strconv.ParseInt(strings.Fields(rest)[0], 8, 64)
		must(err, "parse flags")
		check(len(fd) == 1 && fd <= "2" || flags&unix.O_CLOEXEC != 0, "descriptor %s stays open in children", fd)
	}
}

// wallClock moves the clock on the wall.
func wallClock(step time.Duration) {
	ts := unix.NsecToTimespec(time.Now().Add(step).UnixNano())
	before := time.Now().Unix()
	must(unix.ClockSettime(unix.CLOCK_REALTIME, &ts), "set the clock")
	moved := time.Now().Unix() - before
	check(moved-int64(step.Seconds()) <= 1 && int64(step.Seconds())-moved <= 1, "the clock moved by %d s", moved)
}

// otherProcess starts a client of its own and waits until it is connected.
func otherProcess(does string) *process {
	p := run("/bin/client", []string{does}, nil).collect()
	p.said("connected")
	settles()
	return p
}

// drain throws away what is written to a pipe.
func drain(r io.Reader) { go func() { _, _ = io.Copy(io.Discard, r) }() }
