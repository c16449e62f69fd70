package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"pveha/compat/cfsemu"
	"pveha/hactl"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// bed is the cluster that a recording is replayed on, in the condition that it
// was made in. The command uses it like a real one, through pmxcfsio.
type bed struct {
	r       *recording
	cluster *cfsemu.Cluster
	clock   *bedClock
	node    *cfsemu.Node // where the command runs
	root    bool         // as root
}

func newBed(r *recording) (*bed, error) {
	clock := &bedClock{ManualClock: cfsemu.NewManualClock(time.Unix(r.Now, 0).UTC())}
	clock.start = clock.Now()
	cluster, err := cfsemu.New(cfsemu.Config{Nodes: clusterNodes, Clock: clock.ManualClock})
	if err != nil {
		return nil, err
	}
	b := &bed{r: r, cluster: cluster, clock: clock, node: cluster.Node(r.Node), root: true}
	if b.node == nil {
		return b, fmt.Errorf("it was made on node %s, which is not in the cluster", r.Node)
	}
	if err := b.fill(); err != nil {
		return b, err
	}
	err = b.prepare()
	return b, err
}

func (b *bed) close() error { return b.cluster.Close() }

// fill writes the files that the command finds.
func (b *bed) fill() error {
	first := b.cluster.Node(clusterNodes[0])
	write := func(name, data string) error {
		if folder, _, ok := cutLast(name); ok {
			if err := makeAll(first, folder); err != nil {
				return err
			}
		}
		return first.Write(name, []byte(data))
	}
	for id, guest := range clusterGuests {
		folder := guest.Type
		if folder == "qemu" {
			folder = "qemu-server"
		}
		if err := write(fmt.Sprintf("nodes/%s/%s/%s.conf", guest.Node, folder, id), "name: guest\n"); err != nil {
			return err
		}
	}
	files := b.r.filesBefore()
	if b.r.Needs == needsLive {
		b.addLRMs(files)
	}
	for name, data := range files {
		if err := write(name, data); err != nil {
			return fmt.Errorf("cannot make %s: %w", name, err)
		}
	}
	return nil
}

func cutLast(name string) (folder, file string, ok bool) {
	at := strings.LastIndexByte(name, '/')
	if at < 0 {
		return "", name, false
	}
	return name[:at], name[at+1:], true
}

func makeAll(node *cfsemu.Node, folder string) error {
	for at := range len(folder) + 1 {
		if at < len(folder) && folder[at] != '/' {
			continue
		}
		if err := node.Mkdir(folder[:at]); err != nil && !errors.Is(err, syscall.EEXIST) {
			return err
		}
	}
	return nil
}

// addLRMs adds the status of the LRMs. Recordings of a live cluster do not hold
// it: each LRM was active and wrote it when the manager wrote its own.
func (b *bed) addLRMs(files map[string]string) {
	var manager struct {
		Timestamp int64             `json:"timestamp"`
		Nodes     map[string]string `json:"node_status"`
	}
	if json.Unmarshal([]byte(files[pmxcfsio.ManagerStatusFile]), &manager) != nil || len(b.r.LRM) > 0 {
		return
	}
	for node := range manager.Nodes {
		status := ha.LRMStatus{Mode: ha.ModeActive, State: ha.LRMActive, Timestamp: ha.Epoch(manager.Timestamp)}
		files[pmxcfsio.LRMStatusFile(node)] = string(status.Encode())
	}
}

// holdTime is how long another node holds the lock in one of the conditions.
const holdTime = 3500 * time.Millisecond

const domainLock = "priv/lock/domain-" + pmxcfsio.HADomain

// prepare brings about the condition that the recording was made in.
func (b *bed) prepare() error {
	if b.r.Needs == needsFiles {
		return nil
	}
	setup := b.r.Setup
	other := b.cluster.Node(clusterNodes[1])
	holds := func() error { return makeAll(other, domainLock) }
	switch {
	case strings.HasPrefix(setup, "as user www-data"):
		b.root = false
		return nil
	case strings.Contains(setup, "releases it after 3.5 s"):
		b.clock.after(holdTime, func() { _ = other.Rmdir(domainLock) })
		return holds()
	case strings.HasPrefix(setup, "another node holds"):
		return holds()
	case strings.Contains(setup, "partitioned"):
		return b.cluster.Partition(b.r.Node)
	case strings.HasPrefix(setup, "corosync stopped"):
		return b.cluster.StopCorosync(b.r.Node)
	case strings.HasPrefix(setup, "pmxcfs stopped"):
		return b.cluster.Stop(b.r.Node)
	}
	return fmt.Errorf("it needs a condition that is not known here: %s", setup)
}

// env is the environment of the command.
func (b *bed) env() (hactl.Env, error) {
	ipc := bedIPC{b.node}
	fs, err := pmxcfsio.New(pmxcfsio.Config{
		Root: pmxcfsio.DefaultRoot, Mount: bedMount{b.node}, IPC: ipc, Clock: b.clock, Journal: "none",
	})
	if err != nil {
		return hactl.Env{}, err
	}
	return hactl.Live(hactl.LiveConfig{FS: fs, IPC: ipc, Node: b.r.Node, Root: b.root, Clock: b.clock}), nil
}

// filesAfter reads what the command left behind, as its node sees it.
func (b *bed) filesAfter() map[string]string {
	files := map[string]string{}
	for name := range b.r.After {
		if data, err := b.node.Read(name); err == nil {
			files[name] = string(data)
		}
	}
	return files
}

// bedClock is the time of the cluster. It passes while the command waits, and
// at no other time.
type bedClock struct {
	*cfsemu.ManualClock
	start time.Time
	due   time.Duration
	event func()
}

// after lets something happen once the command has waited for that long.
func (c *bedClock) after(d time.Duration, event func()) { c.due, c.event = d, event }

// Boot implements pmxcfsio.Clock.
func (c *bedClock) Boot() time.Duration { return c.Now().Sub(c.start) + time.Hour }

// Sleep implements both clocks. The limit of the work under a lock is never
// reached: the work takes no time.
func (c *bedClock) Sleep(ctx context.Context, d time.Duration) error {
	if d >= pmxcfsio.DomainHold {
		<-ctx.Done()
		return ctx.Err()
	}
	c.Advance(d)
	if c.event != nil && c.Now().Sub(c.start) >= c.due {
		c.event()
		c.event = nil
	}
	return ctx.Err()
}

// bedMount is the mount of a node.
type bedMount struct{ *cfsemu.Node }

func (m bedMount) Lstat(name string) (pmxcfsio.Info, error) {
	a, err := m.Stat(name)
	mode := fs.FileMode(a.Mode & uint32(fs.ModePerm))
	switch a.Mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		mode |= fs.ModeDir
	case syscall.S_IFLNK:
		mode |= fs.ModeSymlink
	}
	return pmxcfsio.Info{Mode: mode, Size: a.Size, ModTime: a.Mtime.Unix()}, err
}

// Present asks the same, for nothing remembers here.
func (m bedMount) Present(name string) (bool, error) {
	_, err := m.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (m bedMount) ReadFile(name string) ([]byte, error) {
	if _, err := m.Stat(name); err != nil {
		return nil, err
	}
	return m.Read(name)
}

func (m bedMount) ReadDir(name string) ([]string, error) {
	if name == "." {
		name = ""
	}
	return m.List(name)
}

func (m bedMount) Create(name string, data []byte) error {
	if err := m.Node.Create(name); err != nil {
		return err
	}
	for offset := 0; offset < len(data); {
		n, err := m.WriteAt(name, data[offset:], int64(offset))
		if err != nil {
			return err
		}
		offset += n
	}
	return nil
}

func (m bedMount) Utime(name string, mtime int64) error {
	return m.Node.Utime(name, time.Unix(mtime, 0))
}

// bedIPC is what pmxcfs on a node answers.
type bedIPC struct{ node *cfsemu.Node }

func (i bedIPC) Versions(context.Context) ([]byte, error)    { return i.node.FSVersion() }
func (i bedIPC) ClusterInfo(context.Context) ([]byte, error) { return i.node.ClusterInfo() }
func (i bedIPC) GuestList(context.Context) ([]byte, error)   { return i.node.GuestList() }
func (i bedIPC) Usage(context.Context) ([]byte, error)       { return i.node.RRDDump() }

func (i bedIPC) Status(_ context.Context, node, name string) ([]byte, error) {
	return i.node.Status(node, name)
}

func (i bedIPC) ReadFile(_ context.Context, path string) ([]byte, error) {
	return i.node.Config(path)
}

func (i bedIPC) GuestProperties(_ context.Context, id uint32, properties []string) ([]byte, error) {
	return i.node.GuestProperties(id, properties...)
}
