//go:build vm

package vmtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pveha/watchdogmux/watchdog"
	"pveha/watchdogmux/wdclient"
)

// Times of the promise, in seconds.
const (
	clientTimeout = 60
	deviceTimeout = 10
	slack         = 1
)

// within says when a machine has to be reset, counted from the guest's line
// "BROKEN": the moment at which a client, or the daemon, last did its duty.
type within struct{ least, most float64 }

var (
	afterDevice = &within{0, deviceTimeout + slack}
	afterClient = &within{clientTimeout, clientTimeout + deviceTimeout + slack}
)

// vmCase is one case. It is played with both watchdogs unless it needs one.
type vmCase struct {
	name    string
	dog     string  // only this one
	options string  // of its module
	reboots bool    // the machine boots again after a reset, instead of ending
	perl    bool    // needs Perl
	reset   *within // nil: it has to survive
	// says is what the console has to show, besides what the case checks.
	says []string
	// original says what the C daemon of pve-ha-manager 5.2.0 does in this case,
	// as seen in these machines with softdog.
	original string
	play     func(g *guest)
}

const (
	synced  = "JOURNAL"
	expired = "watchdog expired - disable watchdog updates"
	left    = "did not stop watchdog - disable watchdog updates"
)

var cases = []vmCase{
	{
		name: "fed past ten times the timeout", original: "the same",
		play: func(g *guest) {
			g.startMux(nil)
			c := dial()
			feedFor(10*(clientTimeout+deviceTimeout), c)
			check(g.mux.alive() && exists(markerPath), "the client is not active any more")
			c.goodbye()
		},
	},
	{
		name: "a client died", reset: afterDevice, says: []string{left, synced}, original: "the same, a second later: it closes the device before the reset, which feeds it once more",
		play: func(g *guest) {
			g.startMux(nil)
			other := dial()
			p := otherProcess("feed")
			feedFor(30, other)
			broken("killed")
			p.signal(unix.SIGKILL)
			feedDoomed(100, other)
		},
	},
	{
		name: "a client fell silent", reset: afterClient, original: "the same, up to two seconds later",
		says: []string{"watchdog is about to expire", expired, synced},
		play: func(g *guest) {
			g.startMux(nil)
			other := dial()
			otherProcess("silent")
			broken("connected, and never heard of again")
			feedDoomed(100, other)
		},
	},
	{
		name: "the daemon was killed", reset: afterDevice, original: "the same",
		play: func(g *guest) {
			g.startMux(nil)
			feedFor(20, dial())
			broken("killed")
			g.mux.signal(unix.SIGKILL)
			outlive()
		},
	},
	{
		name: "the daemon was ended with an active client", reset: afterDevice, original: "the same",
		says: []string{"got terminate request", "exit watchdog-mux with active connections", synced},
		play: func(g *guest) {
			g.startMux(nil)
			feedFor(20, dial())
			broken("ended")
			g.mux.signal(unix.SIGTERM)
			check(g.mux.ended() == 0, "another exit code")
			check(exists(markerPath) && !exists(socketPath), "marker or socket")
			outlive()
		},
	},
	{
		name: "the daemon was frozen", reset: afterDevice, original: "the same",
		play: func(g *guest) {
			g.startMux(nil)
			feedFor(20, dial())
			broken("frozen")
			g.mux.signal(unix.SIGSTOP)
			outlive()
		},
	},
	{
		name: "clean goodbyes", original: "the same",
		play: func(g *guest) {
			g.startMux(nil)
			check(!exists(markerPath), "the marker is there before any client")
			a, b := dial(), dial()
			feedFor(30, a, b)
			a.goodbye()
			feedFor(30, b)
			check(exists(markerPath), "the marker is gone before the last client")
			b.goodbye()
			g.mux.said("has disconnected cleanly. Removing it gracefully from the watch")
			g.mux.said("all watchdog client connections to the multiplexer closed")
			check(!exists(markerPath), "the marker is still there")
			time.Sleep(2 * (clientTimeout + deviceTimeout) * time.Second)
			check(g.mux.alive(), "the daemon ended")
		},
	},
	{
		name: "an averted expiry", original: "the same", says: []string{synced},
		play: func(g *guest) {
			g.startMux(nil)
			c := dial()
			c.feed()
			time.Sleep(55 * time.Second)
			g.mux.said(fmt.Sprintf("client (PID %d) watchdog is about to expire", os.Getpid()))
			c.feed()
			g.mux.said(fmt.Sprintf("client (PID %d) watchdog was updated before expiring", os.Getpid()))
			feedFor(100, c)
			c.goodbye()
		},
	},
	{
		name: "hang-up and other signals", original: "survives SIGHUP; SIGUSR1 ends it, and the machine is reset",
		play: func(g *guest) {
			g.startMux(nil)
			c := dial()
			for _, sig := range []os.Signal{unix.SIGHUP, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGPIPE, unix.SIGQUIT, unix.SIGALRM} {
				g.mux.signal(sig)
				settles()
			}
			g.mux.said("got SIGHUP - ignored")
			feedFor(30, c)
			check(g.mux.alive(), "the daemon ended")
			c.goodbye()
		},
	},
	{
		name: "a thousand connects and disconnects", original: "the same",
		play: func(g *guest) {
			g.startMux(nil)
			before := g.mux.descriptors()
			for range 1000 {
				dial().goodbye()
			}
			settles()
			check(g.mux.descriptors() == before, "%d descriptors before, %d after", before, g.mux.descriptors())
			check(!exists(markerPath), "the marker is still there")
			c := dial()
			feedFor(30, c)
			c.goodbye()
		},
	},
	{
		name: "half-closed after the goodbye", original: "spins on the socket, the device starves, and the machine is reset after 10 s",
		play: func(g *guest) {
			g.startMux(nil)
			other, c := dial(), dial()
			_, err := c.Write([]byte{'V'})
			must(err, "say goodbye")
			must(c.CloseWrite(), "shut down")
			feedFor(2*(clientTimeout+deviceTimeout), other)
			g.mux.said("has disconnected cleanly")
			other.goodbye()
			c.Close()
			settles()
			check(!exists(markerPath), "the marker is still there")
		},
	},
	{
		name: "half-closed without a goodbye", reset: afterClient, says: []string{"closed its sending side", expired},
		original: "spins on the socket, the device starves, and the machine is reset after 10 s",
		play: func(g *guest) {
			g.startMux(nil)
			other, c := dial(), dial()
			c.feed()
			broken("half-closed")
			must(c.CloseWrite(), "shut down")
			feedDoomed(100, other)
		},
	},
	{
		name: "500 clients at once", original: "takes 98, exits with 'unable to alloc wd_client structure', and the machine is reset",
		play: func(g *guest) {
			g.startMux(nil)
			time.Sleep(5 * time.Second)
			figure("resident memory: %d kB at rest", g.mux.memory("VmRSS"))
			var conns []conn
			for range 500 {
				conns = append(conns, dial())
			}
			feedFor(100, conns...)
			figure("resident memory: %d kB with 500 clients, peak %d kB, locked %d kB",
				g.mux.memory("VmRSS"), g.mux.memory("VmHWM"), g.mux.memory("VmLck"))
			check(g.mux.memory("VmHWM") < 10*1024, "more than 10 MB resident: %d kB", g.mux.memory("VmHWM"))
			for _, c := range conns {
				c.goodbye()
			}
			settles()
			check(!exists(markerPath), "the marker is still there")
		},
	},
	{
		name: "more clients than there is room for", original: "the same as with 500",
		play: func(g *guest) {
			g.startMux(nil)
			var conns []conn
			refused := 0
			for range 1100 {
				conns = append(conns, dial())
			}
			settles()
			for _, c := range conns {
				if _, err := c.Write([]byte{0}); err != nil {
					refused++
				}
			}
			check(refused == 100, "%d clients were refused", refused)
			g.mux.said("too many clients")
			time.Sleep(30 * time.Second)
			for _, c := range conns {
				_, _ = c.Write([]byte{'V'})
				c.Close()
			}
			settles()
			check(g.mux.alive() && !exists(markerPath), "a client is left")
		},
	},
	{
		name: "no descriptors left", original: "exits with 'accept: Too many open files', and the machine is reset",
		play: func(g *guest) {
			g.startMux(nil)
			keeper := dial()
			settles()
			limit := unix.Rlimit{Cur: uint64(g.mux.descriptors() + 3), Max: 4096}
			must(unix.Prlimit(g.mux.cmd.Process.Pid, unix.RLIMIT_NOFILE, &limit, nil), "limit descriptors")
			var conns []conn
			for range 50 {
				conns = append(conns, dial())
			}
			settles()
			refused := 0
			for _, c := range conns {
				if _, err := c.Write([]byte{0}); err != nil {
					refused++
				}
			}
			check(refused >= 40 && refused < 50, "%d clients were refused", refused)
			feedFor(50, keeper)
			for _, c := range conns {
				_, _ = c.Write([]byte{'V'})
				c.Close()
			}
			settles()
			c := dial()
			feedFor(100, keeper, c) // there is room again
			c.goodbye()
			keeper.goodbye()
		},
	},
	{
		name: "steps of the wall clock", original: "an hour forward: the client expires within a second, and the machine is reset",
		play: func(g *guest) {
			g.startMux(nil)
			c := dial()
			for _, step := range []time.Duration{time.Hour, -2 * time.Hour, time.Hour} {
				c.feed()
				settles()
				wallClock(step)
				settles()
				feedFor(30, c)
			}
			c.goodbye()
			settles()
		},
	},
	{
		name: "silence after an hour back", reset: afterClient, says: []string{expired}, original: "does not notice the silence for an hour more",
		play: func(g *guest) {
			g.startMux(nil)
			other, c := dial(), dial()
			c.feed()
			broken("silent")
			settles()
			wallClock(-time.Hour)
			feedDoomed(100, other)
		},
	},
	{
		name: "fed more often than once a second", original: "the device starves, and the machine is reset",
		play: func(g *guest) {
			g.startMux(nil)
			c := dial()
			for range 300 {
				c.feed()
				time.Sleep(100 * time.Millisecond)
			}
			c.goodbye()
		},
	},
	{
		name: "a flood of bytes", dog: "softdog", original: "the device starves, and the machine is reset",
		play: func(g *guest) {
			g.startMux(nil)
			c := dial()
			flood := make([]byte, 4096)
			for began := up(); up()-began < 1.5*deviceTimeout; {
				_, err := c.Write(flood)
				must(err, "flood")
			}
			settles()
			c.goodbye()
			settles()
			check(!exists(markerPath), "the marker is still there")
		},
	},
	{
		name: "start refused while active", original: "the same",
		play: func(g *guest) {
			g.startMux(nil)
			c := dial()
			settles()
			second := run(muxPath, nil, nil).collect()
			check(second.ended() == 1, "another exit code")
			second.said("watchdog active - unable to restart watchdog-mux")
			feedFor(100, c)
			c.goodbye()
			settles()
		},
	},
	{
		name: "start refused after a crash", reset: afterDevice, original: "the same",
		play: func(g *guest) {
			g.startMux(nil)
			feedFor(20, dial())
			broken("killed")
			g.mux.signal(unix.SIGKILL)
			g.mux.ended()
			second := run(muxPath, nil, nil).collect()
			check(second.ended() == 1, "another exit code")
			second.said("watchdog active - unable to restart watchdog-mux")
			outlive()
		},
	},
	{
		name: "again after a clean stop", original: "the same",
		play: func(g *guest) {
			for range 2 {
				g.startMux(nil)
				c := dial()
				feedFor(20, c)
				c.goodbye()
				settles()
				g.mux.signal(unix.SIGTERM)
				check(g.mux.ended() == 0, "another exit code")
				g.mux.said("clean exit")
				check(!exists(markerPath) && !exists(socketPath), "marker or socket")
				time.Sleep(3 * deviceTimeout * time.Second)
			}
		},
	},
	{
		name: "a goodbye and an end at once", original: "takes the goodbye for a keep-alive, exits with an active connection, and the machine is reset",
		play: func(g *guest) {
			g.startMux(nil)
			c := dial()
			feedFor(20, c)
			c.goodbye()
			g.mux.signal(unix.SIGTERM)
			check(g.mux.ended() == 0, "another exit code")
			g.mux.said("clean exit")
			time.Sleep(3 * deviceTimeout * time.Second)
		},
	},
	{
		name: "a second daemon without clients", original: "the same, but does not name the holder",
		play: func(g *guest) {
			g.startMux(nil)
			second := run(muxPath, nil, nil).collect()
			check(second.ended() == 1, "another exit code")
			second.said(fmt.Sprintf("held by watchdog-mux (PID %d)", g.mux.cmd.Process.Pid))
			c := dial() // the socket is still that of the first
			feedFor(20, c)
			c.goodbye()
		},
	},
	{
		name: "the device held by somebody else", original: "the same, but does not name the holder",
		play: func(g *guest) {
			check(modprobe([]string{g.dog}) == 0, "load the module")
			d, err := watchdog.Open(watchdog.Config{Path: "/dev/watchdog0"}) // as systemd does
			must(err, "open the device")
			mux := run(muxPath, nil, nil).collect()
			check(mux.ended() == 1, "another exit code")
			mux.said("held by init (PID 1)")
			must(d.Disarm(), "stop the device")
			time.Sleep(3 * deviceTimeout * time.Second)
		},
	},
	{
		name: "only root may connect", original: "the same by the mode of the socket; when that is opened, anyone may",
		play: func(g *guest) {
			g.startMux(nil)
			must(os.Chmod("/run", 0o755), "chmod")
			p := run("/bin/client", []string{"silent"}, func(cmd *exec.Cmd) {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			}).collect()
			check(p.ended() == 1, "connected")
			// Also when the socket was opened to all.
			must(os.Chmod(socketPath, 0o777), "chmod")
			p = run("/bin/client", []string{"feed"}, func(cmd *exec.Cmd) {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			}).collect()
			g.mux.said("only root may connect")
			check(p.ended() == 1, "still connected")
			check(!exists(markerPath), "it is active")
			time.Sleep(100 * time.Second)
		},
	},
	{
		name: "the journal is gone", original: "dies of SIGPIPE at its next message, and the machine is reset",
		play: func(g *guest) {
			g.startMux(nil)
			settles()
			must(g.mux.stderr.Close(), "close")
			c := dial()
			feedFor(50, c)
			c.goodbye()
			settles()
			check(g.mux.alive() && !exists(markerPath), "a client is left")
		},
	},
	{
		name: "the journal does not read", original: "hangs at its next message, and the machine is reset",
		play: func(g *guest) {
			g.mux = run(muxPath, nil, func(cmd *exec.Cmd) { cmd.Env = append(os.Environ(), "WATCHDOG_MODULE="+g.dog) })
			g.waitForSocket()
			for range 600 { // 64 KiB and more of messages
				dial().goodbye()
			}
			c := dial()
			feedFor(50, c)
			c.goodbye()
			settles()
			check(g.mux.alive() && !exists(markerPath), "a client is left")
			drain(g.mux.stderr)
		},
	},
	{
		name: "a Perl client", perl: true, original: "the same",
		play: func(g *guest) {
			g.startMux(nil)
			p := run("/usr/bin/perl", []string{"/client.pl", "20", "10"}, nil).collect()
			settles()
			check(exists(markerPath), "it is not active")
			time.Sleep(203 * time.Second)
			check(p.ended() == 0, "another exit code")
			p.said("perl closed its watchdog")
			g.mux.said(fmt.Sprintf("client (PID %d) has disconnected cleanly", p.cmd.Process.Pid))
			check(!exists(markerPath), "the marker is still there")
		},
	},
	{
		name: "a Perl client that was killed", perl: true, reset: afterDevice, says: []string{left}, original: "the same",
		play: func(g *guest) {
			g.startMux(nil)
			p := run("/usr/bin/perl", []string{"/client.pl", "20", "10"}, nil).collect()
			time.Sleep(25 * time.Second)
			broken("killed")
			p.signal(unix.SIGKILL)
			outlive()
		},
	},
	{
		name: "a client of package wdclient", original: "the same",
		play: func(g *guest) {
			g.startMux(nil)
			c, err := wdclient.Open(wdclient.Config{})
			must(err, "open")
			for range 1000 { // a daemon in a hurry
				must(c.Update(), "update")
				time.Sleep(100 * time.Millisecond)
			}
			must(c.Close(), "close")
			settles()
			check(!exists(markerPath), "the marker is still there")
			time.Sleep(2 * deviceTimeout * time.Second)
		},
	},
	{
		name: "memory, priority and descriptors", original: "locks nothing, has the usual priority, and journalctl inherits its descriptors, the device's too",
		play: func(g *guest) {
			g.startMux(nil)
			c := dial()
			settles()
			g.mux.checkHardened()
			c.goodbye()
		},
	},
	{
		name: "a socket from systemd", original: "replaces the socket by its own",
		play: func(g *guest) {
			listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socketPath, Net: "unix"})
			must(err, "listen")
			file, err := listener.File()
			must(err, "file")
			early := dial() // waits for the daemon
			notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "/run/notify", Net: "unixgram"})
			must(err, "listen")
			g.mux = run("/bin/client", []string{"activate"}, func(cmd *exec.Cmd) {
				cmd.ExtraFiles = []*os.File{file}
				cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "WATCHDOG_MODULE="+g.dog, "NOTIFY_SOCKET=/run/notify")
			}).collect()
			ready := make([]byte, 256)
			n, err := notify.Read(ready)
			must(err, "read notification")
			check(strings.HasPrefix(string(ready[:n]), "READY=1\n"), "notified %q", ready[:n])
			settles()
			check(exists(markerPath), "the early client is not active")
			feedFor(100, early)
			early.goodbye()
			settles()
			g.mux.signal(unix.SIGTERM)
			check(g.mux.ended() == 0, "another exit code")
			n, err = notify.Read(ready)
			must(err, "read notification")
			check(string(ready[:n]) == "STOPPING=1", "notified %q", ready[:n])
			check(exists(socketPath), "the socket is systemd's")
			time.Sleep(3 * deviceTimeout * time.Second)
		},
	},
	{
		name: "after a reset by the device", dog: "i6300esb", reboots: true, original: "does not say",
		says: []string{"the last reset of this machine was caused by this watchdog"},
		play: func(g *guest) {
			g.startMux(nil)
			settles()
			for _, line := range g.mux.lines {
				if strings.Contains(line, "the last reset of this machine") {
					return
				}
			}
			dial().Close()
			outlive()
		},
	},
	{
		name: "a device that cannot be stopped", dog: "softdog", options: "nowayout=1", reset: afterDevice, original: "the same, but does not say it",
		says: []string{"the watchdog cannot be stopped (nowayout)", "clean exit"},
		play: func(g *guest) {
			g.startMux(nil)
			c := dial()
			feedFor(30, c)
			c.goodbye()
			settles()
			broken("ended")
			g.mux.signal(unix.SIGTERM)
			outlive()
		},
	},
	{
		name: "the device by itself", original: "no part of it",
		play: playDevice,
	},
}

// playDevice holds package watchdog against the kernel.
func playDevice(g *guest) {
	loader := watchdog.Loader{Path: watchdog.DefaultPath, Module: g.dog, Log: func(text string) { say("LOADER", "%s", text) }}
	must(loader.Load(), "load")
	d, err := watchdog.Open(watchdog.Config{})
	must(err, "open")
	info := d.Info()
	say("INFO", "%+v", info)
	check(info.Features.Has(watchdog.FeatureKeepAlive|watchdog.FeatureMagicClose|watchdog.FeatureSetTimeout), "features %#x", info.Features)
	check(info.NoWayOut == watchdog.No && !info.StopsOnClose(), "nowayout %s", info.NoWayOut)
	check(info.Identity == map[string]string{"softdog": "Software Watchdog", "i6300esb": "i6300ESB timer"}[g.dog], "identity %q", info.Identity)
	got, err := d.SetTimeout(20 * time.Second)
	must(err, "set the timeout")
	check(got == 20*time.Second, "timeout %s", got)
	got, err = d.SetTimeout(100000 * time.Second)
	check(err != nil && got == 20*time.Second, "an absurd timeout: %s, %v", got, err)
	left, err := d.TimeLeft()
	say("INFO", "time left %s, %v", left, err)
	for range 10 {
		must(d.KeepAlive(), "feed")
		time.Sleep(10 * time.Second)
	}
	_, err = watchdog.Open(watchdog.Config{})
	check(err != nil && strings.Contains(err.Error(), "held by init (PID 1)"), "a second open: %v", err)
	must(d.Disarm(), "stop")
	time.Sleep(60 * time.Second)
	check(d.Disarm() != nil, "stopped twice")
}
