package console

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pveha/compat/cfsemu"
	"pveha/compat/cfsemu/fusemount"
)

// state tells of every node: what pmxcfs does, quorum, whom it sees online.
func (c *Console) state([]string) (string, error) {
	var nodes []string
	for _, n := range c.Cluster.Nodes() {
		quorum := "no-quorum"
		if n.Quorate() {
			quorum = "quorate"
		}
		nodes = append(nodes, fmt.Sprintf("%s=%s,%s,online:%s", n.Name(), n.State(), quorum, strings.Join(n.Online(), "+")))
	}
	return strings.Join(nodes, " "), nil
}

func (c *Console) corosync(args []string) (string, error) {
	if len(args) != 2 {
		return "", errUsage{}
	}
	switch args[0] {
	case "stop":
		return "", c.Cluster.StopCorosync(args[1])
	case "kill":
		return "", c.Cluster.KillCorosync(args[1])
	case "start":
		return "", c.Cluster.StartCorosync(args[1])
	}
	return "", errUsage{}
}

const faultUsage = "error ERRNO|delay DURATION|hang|truncate BYTES [after] [node=NAME] [op=OP] [path=PATTERN] [skip=N] [count=N]"

// fault injects a fault and answers with its number.
func (c *Console) fault(args []string) (string, error) {
	f, err := parseFault(args)
	if err != nil {
		return "", err
	}
	id, err := c.Cluster.Inject(f)
	return strconv.Itoa(id), err
}

func parseFault(args []string) (f cfsemu.Fault, err error) {
	if len(args) == 0 {
		return f, errUsage{}
	}
	f.Kind = cfsemu.FaultKind(args[0])
	args = args[1:]
	if f.Kind != cfsemu.FaultHang {
		if len(args) == 0 {
			return f, errUsage{}
		}
		if err := parseFaultValue(&f, args[0]); err != nil {
			return f, err
		}
		args = args[1:]
	}
	for _, arg := range args {
		if err := parseFaultOption(&f, arg); err != nil {
			return f, err
		}
	}
	return f, nil
}

func parseFaultValue(f *cfsemu.Fault, text string) (err error) {
	switch f.Kind {
	case cfsemu.FaultError:
		f.Errno, err = parseErrno(text)
	case cfsemu.FaultDelay:
		f.Delay, err = time.ParseDuration(text)
	case cfsemu.FaultTruncate:
		f.Bytes, err = strconv.ParseInt(text, 10, 64)
	case cfsemu.FaultHang:
	default:
		return errUsage{}
	}
	return err
}

func parseFaultOption(f *cfsemu.Fault, arg string) (err error) {
	key, value, _ := strings.Cut(arg, "=")
	switch key {
	case "after":
		f.After = true
	case "node":
		f.Node = value
	case "op":
		f.Op = cfsemu.Op(value)
	case "path":
		f.Path = value
	case "skip":
		f.Skip, err = strconv.Atoi(value)
	case "count":
		f.Count, err = strconv.Atoi(value)
	default:
		return errUsage{}
	}
	return err
}

// parseErrno reads the name of an error, such as EIO.
func parseErrno(name string) (syscall.Errno, error) {
	const last = 133 // of Linux
	for errno := syscall.Errno(1); errno <= last; errno++ {
		if unix.ErrnoName(errno) == name {
			return errno, nil
		}
	}
	return 0, fmt.Errorf("%q is no error of the system, use a name such as EIO", name)
}

func (c *Console) unfault(args []string) (string, error) {
	if len(args) != 1 {
		return "", errUsage{}
	}
	if args[0] == "all" {
		c.Cluster.ClearFaults()
		return "", nil
	}
	id, err := strconv.Atoi(args[0])
	if err != nil {
		return "", errUsage{}
	}
	if !c.Cluster.RemoveFault(id) {
		return "", fmt.Errorf("there is no fault %d", id)
	}
	return "", nil
}

// hits answers how many calls a fault has hit.
func (c *Console) hits(args []string) (string, error) {
	if len(args) != 1 {
		return "", errUsage{}
	}
	id, err := strconv.Atoi(args[0])
	if err != nil {
		return "", errUsage{}
	}
	return strconv.Itoa(c.Cluster.Hits(id)), nil
}

func (c *Console) node(name string) (*cfsemu.Node, error) {
	if n := c.Cluster.Node(name); n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("no node is named %q", name)
}

// onNode runs an action on a node with the text behind its name.
func (c *Console) onNode(args []string, least int, action func(n *cfsemu.Node, args []string) error) (string, error) {
	if len(args) < least+1 {
		return "", errUsage{}
	}
	n, err := c.node(args[0])
	if err != nil {
		return "", err
	}
	return "", action(n, args[1:])
}

// kv sets a value of a node's status as a process of it would, or removes it.
func (c *Console) kv(args []string) (string, error) {
	return c.onNode(args, 1, func(n *cfsemu.Node, args []string) error {
		return n.SetStatus(args[0], []byte(strings.Join(args[1:], " ")))
	})
}

// usage sends usage data, which is forgotten after five minutes.
func (c *Console) usage(args []string) (string, error) {
	return c.onNode(args, 2, func(n *cfsemu.Node, args []string) error {
		return n.SetStatus("rrd/"+args[0], []byte(strings.Join(args[1:], " ")+"\x00"))
	})
}

func (c *Console) log(args []string) (string, error) {
	return c.onNode(args, 1, func(n *cfsemu.Node, args []string) error {
		const info = 6 // of syslog
		return n.Log("root@pam", "cfsemu", uint32(os.Getpid()), info, strings.Join(args, " "))
	})
}

func (c *Console) delay(args []string) (string, error) {
	if len(args) != 2 {
		return "", errUsage{}
	}
	d, err := time.ParseDuration(args[1])
	if err != nil {
		return "", err
	}
	return "", c.Cluster.SetDelay(args[0], d)
}

// clock answers with the cluster's time after what it did to it.
func (c *Console) clock(args []string) (string, error) {
	err := error(errUsage{})
	switch {
	case len(args) == 0:
		err = nil
	case args[0] == "advance" && len(args) == 2:
		err = c.advance(args[1])
	case args[0] == "step" && len(args) == 3:
		var d time.Duration
		if d, err = time.ParseDuration(args[2]); err == nil {
			err = c.Cluster.StepClock(args[1], d)
		}
	}
	if err != nil {
		return "", err
	}
	return c.Cluster.Clock().Now().UTC().Format(time.RFC3339Nano), nil
}

func (c *Console) advance(text string) error {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return err
	case d < 0:
		return fmt.Errorf("time does not go back: step a node's clock instead")
	case c.Clock == nil:
		return fmt.Errorf("the clock is the machine's: start with a clock of its own")
	}
	c.Clock.Advance(d)
	return nil
}

// expose shows a node's mount in the namespaces of a process, and serves the
// IPC there.
func (c *Console) expose(args []string) (string, error) {
	if c.Mounts == nil || len(args) < 2 || len(args) > 3 {
		return "", errUsage{}
	}
	if _, err := strconv.ParseUint(args[1], 10, 31); err != nil {
		return "", errUsage{}
	}
	process := "/proc/" + args[1] + "/ns/"
	place := fusemount.Place{Namespace: process + "mnt", Target: "/etc/pve", Folders: c.Folders}
	if len(args) == 3 {
		place.Target = args[2]
	}
	if err := c.Mounts.Expose(args[0], place); err != nil {
		return "", err
	}
	if c.Servers == nil || sameNamespace(process+"net") {
		return "", nil
	}
	return "", c.Servers.Enter(args[0], process+"net")
}

// sameNamespace reports whether a network namespace is our own.
func sameNamespace(path string) bool {
	other, err := os.Stat(path)
	if err != nil {
		return false
	}
	own, err := os.Stat("/proc/self/ns/net")
	return err == nil && os.SameFile(own, other)
}

func (c *Console) withdraw(args []string) (string, error) {
	if c.Mounts == nil || len(args) != 1 {
		return "", errUsage{}
	}
	if err := c.Mounts.Withdraw(args[0]); err != nil {
		return "", err
	}
	if c.Servers == nil {
		return "", nil
	}
	return "", c.Servers.Enter(args[0], "")
}
