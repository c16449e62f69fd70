package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// verdict is what a check found.
type verdict string

const (
	fine     verdict = "ok"
	careful  verdict = "warn" // to be looked at, and no reason to wait
	harmful  verdict = "no"   // the change must not begin
	noMaster         = 30     // seconds after which the status command calls a status old
)

// finding is the result of a check.
type finding struct {
	verdict verdict
	subject string
	text    string
}

func found(v verdict, subject, format string, args ...any) finding {
	return finding{v, subject, fmt.Sprintf(format, args...)}
}

// The versions of the Perl package that share files and states with us; we are
// compared with 5.2.0.
const (
	oldestPerl = "5.0.0~"
	beyondPerl = "6~"
)

// oldestNode is the release of Proxmox VE from which on the HA stack of another
// node is a partner: 8, whose groups are still understood.
const oldestNode = 8

// Check looks whether the node may change to our stack, and says what it finds.
// It returns false when it must not.
func (n *Node) Check(ctx context.Context) bool {
	all := []finding{n.checkPackage(), n.checkFiles()}
	if !n.booted() {
		all = append(all, found(harmful, "systemd", "does not run this machine"))
		return n.report(all)
	}
	all = append(all, n.handoverFindings(ctx)...)
	all = append(all, n.checkNodes(ctx)...)
	all = append(all, n.checkLinks(), n.checkFormats(ctx))
	return n.report(all)
}

func (n *Node) report(all []finding) bool {
	may := true
	for _, f := range all {
		n.say("%-5s %-12s %s", f.verdict, f.subject, f.text)
		may = may && f.verdict != harmful
	}
	return may
}

func (n *Node) checkPackage() finding {
	const subject = "package"
	out, err := n.Run("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", perlPackage)
	if err != nil {
		return found(harmful, subject, "%s is not installed: the web interface and the guests need its modules", perlPackage)
	}
	status, version, _ := strings.Cut(strings.TrimSpace(out), " ")
	if status != "installed" {
		return found(harmful, subject, "%s is %s: complete its installation first (dpkg --configure -a)", perlPackage, status)
	}
	for _, bound := range [][2]string{{"ge", oldestPerl}, {"lt", beyondPerl}} {
		if _, err := n.Run("dpkg", "--compare-versions", version, bound[0], bound[1]); err != nil {
			return found(harmful, subject, "%s has version %s, and this package works with those from %s to before %s",
				perlPackage, version, strings.TrimSuffix(oldestPerl, "~"), strings.TrimSuffix(beyondPerl, "~"))
		}
	}
	return found(fine, subject, "%s %s", perlPackage, version)
}

func (n *Node) checkFiles() finding {
	const subject = "files"
	for _, r := range replacements {
		state, err := n.inspect(r)
		switch {
		case err != nil:
			return found(harmful, subject, "%v", err)
		case state == stateForeign:
			return found(harmful, subject, "%s is diverted by another package", r.path)
		case !n.there(r.ours) && strings.HasPrefix(r.ours, programs):
			return found(harmful, subject, "%s is missing: reinstall %s", r.ours, packageName)
		}
	}
	return found(fine, subject, "all there")
}

// handoverFindings tell whether the LRM can end without harm.
func (n *Node) handoverFindings(ctx context.Context) []finding {
	all := []finding{n.checkUnits(), n.checkWatchdog()}
	if err := n.Cluster.Mounted(ctx); err != nil {
		return append(all, found(harmful, "cluster", "%v", err))
	}
	quorate, err := n.Cluster.Quorate(ctx)
	switch {
	case err != nil:
		return append(all, found(harmful, "quorum", "%v", err))
	case !quorate:
		return append(all, found(harmful, "quorum", "there is none: the LRM cannot tell the master that it restarts"))
	}
	all = append(all, found(fine, "quorum", "there"))
	ms, lrm, err := n.statuses(ctx)
	if err != nil {
		return append(all, found(harmful, "status", "%v", err))
	}
	return append(all, n.checkMaster(ms), n.checkLRM(ms, lrm))
}

func (n *Node) checkUnits() finding {
	const subject = "units"
	for _, name := range units {
		u, err := n.unit(name)
		switch {
		case err != nil:
			return found(harmful, subject, "%v", err)
		case u.active == "failed":
			return found(harmful, subject, "%s has failed: see systemctl status, and start it first", name)
		case u.active != "active" && u.active != "inactive" && u.active != "reloading":
			return found(harmful, subject, "%s is %s: wait until that is over", name, u.active)
		}
	}
	return found(fine, subject, "none has failed")
}

// Paths of the watchdog multiplexer.
const (
	muxMarker    = "/run/watchdog-mux.active"
	muxSocket    = "/run/watchdog-mux.sock"
	watchdogName = "/sys/class/watchdog/watchdog0/identity"
)

// checkWatchdog does not connect to the multiplexer: who does is a client, and
// resets the machine when it goes without a word.
func (n *Node) checkWatchdog() finding {
	const subject = "watchdog"
	u, err := n.unit(unitMux)
	switch {
	case err != nil:
		return found(harmful, subject, "%v", err)
	case !u.running() && n.there(muxMarker):
		return found(harmful, subject, "the multiplexer does not run, and %s says that it protects something: reboot this node", muxMarker)
	case !u.running():
		return found(careful, subject, "the multiplexer does not run; the daemons start it")
	case !n.there(muxSocket):
		return found(harmful, subject, "%s is missing: restart %s while the daemons are stopped", muxSocket, unitMux)
	}
	name, err := n.file(watchdogName)
	switch {
	case err != nil:
		return found(fine, subject, "the multiplexer runs")
	case name == "Software Watchdog":
		return found(fine, subject, "the multiplexer runs with softdog: a node whose kernel hangs is not reset by it")
	}
	return found(fine, subject, "the multiplexer runs with '%s'", name)
}

// checkMaster asks for a manager that can freeze services.
func (n *Node) checkMaster(ms *ha.ManagerStatus) finding {
	const subject = "master"
	if ms == nil {
		return found(fine, subject, "there is none yet, and nothing to freeze")
	}
	active := ha.CountActiveServices(ms.ServiceStatus, n.Name)
	age := n.Now().Unix() - int64(ms.Timestamp)
	switch {
	case ms.NodeStatus[n.Name] == ha.NodeFence:
		return found(harmful, subject, "%s is about to fence this node", ms.MasterNode)
	case age <= noMaster:
		return found(fine, subject, "%s; %d services here", ms.MasterNode, active)
	case active > 0:
		return found(harmful, subject, "none has written its status for %d seconds, and %d services here have to be frozen by one", age, active)
	}
	return found(careful, subject, "none has written its status for %d seconds; no service here needs one", age)
}

func (n *Node) checkLRM(ms *ha.ManagerStatus, lrm *ha.LRMStatus) finding {
	const subject = "LRM"
	switch {
	case lrm == nil:
		return found(fine, subject, "never ran")
	case lrm.State == ha.LRMLostAgentLock:
		return found(harmful, subject, "has lost its lock: wait until it has it again")
	case lrm.Mode == ha.ModeMaintenance && ms != nil && ha.CountActiveServices(ms.ServiceStatus, n.Name) > 0:
		return found(careful, subject, "the node goes into maintenance: the change waits until its services have moved")
	}
	return found(fine, subject, "%s, mode %s", lrm.State, lrm.Mode)
}

// checkNodes looks at the other nodes: who is there, and of which release.
func (n *Node) checkNodes(ctx context.Context) []finding {
	const subject = "nodes"
	members, err := n.Cluster.Members(ctx)
	if err != nil {
		return []finding{found(harmful, subject, "%v", err)}
	}
	var all []finding
	for _, name := range slices.Sorted(maps.Keys(members.Nodes)) {
		if !members.Nodes[name].Online {
			all = append(all, found(careful, subject, "%s is offline", name))
			continue
		}
		release, err := n.release(ctx, name)
		switch {
		case err != nil:
			all = append(all, found(careful, subject, "%s: its release is not known: %v", name, err))
		case release < oldestNode:
			all = append(all, found(harmful, subject, "%s has release %d of Proxmox VE, and %d is the oldest that shares the files", name, release, oldestNode))
		}
	}
	if len(all) == 0 {
		all = append(all, found(fine, subject, "%d, all online", max(len(members.Nodes), 1)))
	}
	return all
}

// release is the first number of the version that a node has published.
func (n *Node) release(ctx context.Context, node string) (int, error) {
	data, err := n.Cluster.KV(ctx, node, "version-info")
	if err != nil {
		return 0, err
	}
	var info struct{ Version string }
	if err := json.Unmarshal([]byte(strings.TrimRight(string(data), "\x00")), &info); err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(info.Version, ".")
	return strconv.Atoi(first)
}

// checkLinks asks corosync for its links to the other nodes.
func (n *Node) checkLinks() finding {
	const subject = "links"
	if !n.there("/usr/sbin/corosync-cfgtool") {
		return found(careful, subject, "not known: corosync-cfgtool is missing")
	}
	out, err := n.Run("corosync-cfgtool", "-s")
	if err != nil {
		return found(careful, subject, "not known: %v", err)
	}
	if down := brokenLinks(out); len(down) > 0 {
		return found(careful, subject, "down: %s", strings.Join(down, ", "))
	}
	return found(fine, subject, "all connected")
}

// brokenLinks finds the links that corosync-cfgtool -s calls disconnected.
func brokenLinks(text string) []string {
	var down []string
	link := ""
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 3 && fields[0] == "LINK" && fields[1] == "ID":
			link = fields[2]
		case len(fields) == 3 && fields[0] == "nodeid:" && strings.HasPrefix(fields[2], "disconnected"):
			down = append(down, "link "+link+" to node "+strings.TrimSuffix(fields[1], ":"))
		}
	}
	return down
}

// checkFormats reads what our stack is going to read.
func (n *Node) checkFormats(ctx context.Context) finding {
	const subject = "formats"
	ms, _, err := n.statuses(ctx)
	if err != nil {
		return found(harmful, subject, "%v", err)
	}
	if ms != nil {
		for _, sid := range slices.Sorted(maps.Keys(ms.ServiceStatus)) {
			if state := ms.ServiceStatus[sid].State; state != "" && !slices.Contains(ha.ServiceStates, state) {
				return found(harmful, subject, "service '%s' is in the state '%s', which this version does not know: a newer stack manages the cluster", sid, state)
			}
		}
	}
	if _, err := n.Cluster.Read(ctx, pmxcfsio.ResourcesFile); err != nil && !errors.Is(err, pmxcfsio.ErrAbsent) {
		return found(harmful, subject, "%v", err)
	}
	if out, err := n.Run(programs+"ha-manager", "lint"); err != nil {
		lines := strings.Split(strings.TrimSpace(out), "\n")
		return found(careful, subject, "'ha-manager lint' has something to say: %s", lines[0])
	}
	return found(fine, subject, "all files can be read, and nothing in them is ignored")
}
