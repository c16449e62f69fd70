package pveenv

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
	"pveha/crm"
	"pveha/crm/usage"
	"pveha/internal/ha"
	"pveha/lrm"
	"pveha/pmxcfsio"
)

func TestSettings(t *testing.T) {
	ipc := &fakeIPC{members: threeMembers, files: map[string]string{}}
	c, l, _, lines := answering(t, ipc)
	for _, s := range []struct {
		file    string
		want    func(*crm.Scheduling)
		workers int
		policy  ha.ShutdownPolicy
	}{
		{"", func(*crm.Scheduling) {}, 4, ha.PolicyConditional},
		{"max_workers: 7\nha: shutdown_policy=migrate\n", func(*crm.Scheduling) {}, 7, ha.PolicyMigrate},
		{
			"crs: ha=dynamic,ha-rebalance-on-start=1,ha-auto-rebalance=1,ha-auto-rebalance-threshold=25," +
				"ha-auto-rebalance-method=topsis,ha-auto-rebalance-hold-duration=2.5,ha-auto-rebalance-margin=5\n",
			func(s *crm.Scheduling) {
				s.Mode, s.RebalanceOnStart = crm.SchedulerDynamic, true
				s.AutoRebalance = crm.AutoRebalance{Enabled: true, Threshold: 25, Hold: 3, Margin: 5, Method: usage.TOPSIS}
			}, 4, ha.PolicyConditional,
		},
		{"crs: ha=static\nmax_workers: 1\n", func(s *crm.Scheduling) { s.Mode = crm.SchedulerStatic }, 1, ha.PolicyConditional},
	} {
		ipc.files["datacenter.cfg"] = s.file
		want := crm.DefaultScheduling()
		s.want(&want)
		got, err := c.Scheduling()
		require.NoError(t, err)
		require.Equal(t, want, got, s.file)
		workers, err := l.MaxWorkers()
		require.NoError(t, err)
		require.Equal(t, s.workers, workers, s.file)
		policy, err := l.ShutdownPolicy()
		require.NoError(t, err)
		require.Equal(t, s.policy, policy, s.file)
	}
	require.Empty(t, lines.texts())

	ipc.files["datacenter.cfg"] = "max_workers: many\n"
	for range 3 {
		workers, err := l.MaxWorkers()
		require.NoError(t, err)
		require.Equal(t, 4, workers)
	}
	require.Len(t, lines.texts(), 1, "a file is complained of once, until it changes: %q", lines.texts())

	ipc.fail = map[string]syscall.Errno{"file datacenter.cfg": syscall.EIO}
	_, err := c.Scheduling()
	require.ErrorIs(t, err, syscall.EIO)
	require.ErrorContains(t, err, "unable to get HA settings from datacenter.cfg - ")
	_, err = l.MaxWorkers()
	require.ErrorIs(t, err, syscall.EIO)
	_, err = l.ShutdownPolicy()
	require.ErrorIs(t, err, syscall.EIO)
}

// A service is configured by the number of its guest; one whose guest is gone
// is none.
func TestServicesAreThoseWithAGuest(t *testing.T) {
	ipc := &fakeIPC{
		members: threeMembers, guests: guestList("100 qemu node1", "200 lxc node2", "300 lxc node3"),
		files: map[string]string{"ha/resources.cfg": "vm: 100\n\nct: 200\n\tstate enabled\n\nvm: 300\n\nvm: 400\n\nxx: 1\n\nvm: x\n\n"},
	}
	c, l, _, lines := answering(t, ipc)
	want := map[ha.SID]ha.ServiceConfig{}
	for sid, node := range map[ha.SID]string{"vm:100": "node1", "ct:200": "node2", "vm:300": "node3"} {
		want[sid] = ha.ServiceConfig{Node: node, State: ha.RequestStarted, Failback: true, MaxRestart: 1, MaxRelocate: 1}
	}
	for range 3 {
		got, digest, err := c.Services()
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Len(t, digest, 40)
	}
	require.Len(t, lines.texts(), 2, "what cannot be used is told once: %q", lines.texts())
	first, _, err := l.Services()
	require.NoError(t, err)
	ipc.guests = guestList("100 qemu node3", "200 lxc node2")
	second, _, err := l.Services()
	require.NoError(t, err)
	require.Len(t, first, 3)
	require.Len(t, second, 2)
	require.Equal(t, "node3", second["vm:100"].Node)

	for _, request := range []string{"guests", "file ha/resources.cfg"} {
		ipc.fail = map[string]syscall.Errno{request: syscall.EIO}
		services, digest, err := c.Services()
		require.ErrorIs(t, err, syscall.EIO, request)
		require.Nil(t, services)
		require.Empty(t, digest)
	}
}

// While a status is replaced without a rename, it is empty for a moment.
func TestAnEmptyStatusIsReadAgain(t *testing.T) {
	status := (&ha.ManagerStatus{MasterNode: "node2", Timestamp: 5}).Encode()
	w := newWorld(t)
	n := w.cluster.Node("node1")
	require.NoError(t, n.Replace(pmxcfsio.ManagerStatusFile, status))
	for skip, want := range map[int]string{2: "node2", emptyRereads + 1: ""} {
		_, err := w.cluster.Inject(cfsemu.Fault{
			Node: "node1", Op: cfsemu.OpIPC, Path: "get_config/ha/manager_status", Kind: cfsemu.FaultTruncate, Count: skip,
		})
		require.NoError(t, err)
		s, err := w.LRM("node1").ReadManagerStatus()
		require.NoError(t, err)
		require.Equal(t, want, s.MasterNode)
		w.cluster.ClearFaults()
	}
}

func TestAStatusThatMakesNoSenseIsAnErrorThatNamesIt(t *testing.T) {
	c, _, _, _ := answering(t, &fakeIPC{members: threeMembers, files: map[string]string{
		"ha/manager_status": `{"timestamp":`, "nodes/node2/lrm_status": "[]",
	}})
	s, err := c.ReadManagerStatus()
	require.ErrorContains(t, err, "ha/manager_status")
	require.Nil(t, s)
	l, err := c.ReadLRMStatus("node2")
	require.ErrorContains(t, err, "nodes/node2/lrm_status")
	require.Nil(t, l)
}

func TestAStatusThatDidNotChangeIsNotParsedAgain(t *testing.T) {
	c, _, _, _ := answering(t, &fakeIPC{members: threeMembers, files: map[string]string{
		"ha/manager_status": `{"timestamp":5}`, "nodes/node2/lrm_status": `{"timestamp":6}`,
	}})
	first, err := c.ReadManagerStatus()
	require.NoError(t, err)
	second, err := c.ReadManagerStatus()
	require.NoError(t, err)
	require.Same(t, first, second)
	one, err := c.ReadLRMStatus("node2")
	require.NoError(t, err)
	two, err := c.ReadLRMStatus("node2")
	require.NoError(t, err)
	require.Same(t, one, two)
}

func TestAnEmptyQueueIsNotWritten(t *testing.T) {
	w := newWorld(t)
	n := w.cluster.Node("node1")
	require.NoError(t, n.Replace(pmxcfsio.CommandsFile, nil))
	require.NoError(t, n.Utime(pmxcfsio.CommandsFile, time.Unix(1000, 0)))
	content, err := w.CRM("node1").TakeCommands()
	require.NoError(t, err)
	require.Empty(t, content)
	a, err := n.Stat(pmxcfsio.CommandsFile)
	require.NoError(t, err)
	require.Equal(t, int64(1000), a.Mtime.Unix())
}

// A write of which nobody knows whether it happened must neither lose commands
// nor carry them out twice.
func TestCommandsInDoubt(t *testing.T) {
	for name, c := range map[string]struct {
		after bool // the write happened
		later string
		want  string
	}{
		"the write failed":                          {false, "", "arm-ha\n"},
		"the write failed, and more came":           {false, "disarm-ha freeze", "arm-ha\ndisarm-ha freeze\n"},
		"the write happened":                        {true, "", "arm-ha\n"},
		"the write happened, and more came":         {true, "disarm-ha freeze", "arm-ha\ndisarm-ha freeze\n"},
		"the write happened, and it was said again": {true, "arm-ha", "arm-ha\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			env := w.CRM("node1")
			require.True(t, env.ManagerLock())
			w.Queue("arm-ha")
			_, err := w.cluster.Inject(cfsemu.Fault{
				Node: "node1", Op: cfsemu.OpRename, Path: pmxcfsio.CommandsFile,
				Kind: cfsemu.FaultError, Errno: syscall.EBUSY, After: c.after, Count: 1,
			})
			require.NoError(t, err)
			content, err := env.TakeCommands()
			require.ErrorIs(t, err, pmxcfsio.ErrBusy)
			require.Empty(t, content)
			if c.later != "" {
				w.Queue(c.later)
			}
			waits, err := env.CommandsPending()
			require.NoError(t, err)
			require.True(t, waits)
			require.Equal(t, c.want, take(t, env))
			require.Empty(t, take(t, env))
		})
	}
}

func take(t *testing.T, env crm.Env) string {
	t.Helper()
	content, err := env.TakeCommands()
	require.NoError(t, err)
	return content
}

// Commands in doubt are the next master's.
func TestCommandsInDoubtEndWithTheLock(t *testing.T) {
	w := newWorld(t)
	env := w.CRM("node1")
	require.True(t, env.ManagerLock())
	w.Queue("arm-ha")
	_, err := w.cluster.Inject(cfsemu.Fault{
		Node: "node1", Op: cfsemu.OpRename, Path: pmxcfsio.CommandsFile, Kind: cfsemu.FaultError, Errno: syscall.EBUSY, Count: 1,
	})
	require.NoError(t, err)
	_, err = env.TakeCommands()
	require.Error(t, err)
	require.NoError(t, w.cluster.Partition("node1"))
	require.False(t, env.ManagerLock())
	require.Equal(t, "arm-ha\n", take(t, w.CRM("node2")))
	require.NoError(t, w.cluster.Heal("node1"))
	require.Empty(t, take(t, env))
}

func TestLocksTellTheirFate(t *testing.T) {
	w := newWorld(t)
	require.True(t, w.CRM("node1").ManagerLock())
	require.True(t, w.CRM("node1").ManagerLock())
	require.True(t, w.LRM("node1").TakeAgentLock())
	require.False(t, w.CRM("node2").ManagerLock())
	require.NoError(t, w.cluster.Partition("node1"))
	require.False(t, w.CRM("node1").ManagerLock())
	require.False(t, w.CRM("node1").ManagerLock())
	require.NoError(t, w.cluster.Heal("node1"))
	require.True(t, w.CRM("node1").ManagerLock())
	require.True(t, w.CRM("node1").ReleaseManagerLock())
	require.Equal(t, []ha.Entry{
		{Level: ha.LevelInfo, Text: "successfully acquired lock 'ha_manager_lock'"},
		{Level: ha.LevelInfo, Text: "successfully acquired lock 'ha_agent_node1_lock'"},
		{Level: ha.LevelErr, Text: "lost lock 'ha_manager_lock - cfs lock update failed - Permission denied"},
		{Level: ha.LevelInfo, Text: "successfully acquired lock 'ha_manager_lock'"},
	}, w.log.entries())
}

// fakeWorkers carries out nothing.
type fakeWorkers struct {
	started  []lrm.Order
	services map[ha.SID]ha.ServiceConfig
	finished []lrm.Finished
	unsaved  int
	changed  chan struct{}
}

func (f *fakeWorkers) Start(o lrm.Order, services map[ha.SID]ha.ServiceConfig) error {
	f.started, f.services = append(f.started, o), services
	return nil
}

func (f *fakeWorkers) Finished() []lrm.Finished {
	finished := f.finished
	f.finished = nil
	f.unsaved += len(finished)
	return finished
}

func (f *fakeWorkers) Acknowledge() error       { f.unsaved = 0; return errors.New("no space left") }
func (f *fakeWorkers) Changed() <-chan struct{} { return f.changed }

// Results of workers are kept until they are in the status that the master
// reads.
func TestResultsAreForgottenWhenTheyAreWritten(t *testing.T) {
	w := newWorld(t)
	env := w.machines["node1"].lrm
	workers := &fakeWorkers{finished: []lrm.Finished{{SID: "vm:101"}}}
	env.workers = workers
	status := &ha.LRMStatus{State: ha.LRMActive}
	require.NoError(t, env.WriteLRMStatus(status))
	require.Len(t, env.FinishedWorkers(), 1)
	require.NoError(t, w.cluster.Partition("node1"))
	require.Error(t, env.WriteLRMStatus(status))
	require.Equal(t, 1, workers.unsaved)
	require.NoError(t, w.cluster.Heal("node1"))
	require.NoError(t, env.WriteLRMStatus(status))
	require.Equal(t, 0, workers.unsaved)
	require.True(t, w.log.has("unable to clear results of workers - no space left"), "which is no error of the status")
}

// An order to stop a guest must not wait for the cluster file system.
func TestOrdersAreStartedWithoutFiles(t *testing.T) {
	ipc := &fakeIPC{
		members: threeMembers, guests: guestList("100 qemu node1"), files: map[string]string{"ha/resources.cfg": "vm: 100\n\n"},
	}
	_, l, _, _ := answering(t, ipc)
	require.ErrorContains(t, l.StartWorker(lrm.Order{SID: "vm:100"}), "there are no workers")
	workers := &fakeWorkers{}
	l.workers = workers
	ipc.fail = map[string]syscall.Errno{"file ha/resources.cfg": syscall.EIO}
	require.ErrorIs(t, l.StartWorker(lrm.Order{SID: "vm:100"}), syscall.EIO, "nothing is known of any service yet")
	ipc.fail = nil
	require.NoError(t, l.StartWorker(lrm.Order{SID: "vm:100"}))
	ipc.fail = map[string]syscall.Errno{"file ha/resources.cfg": syscall.EIO}
	require.NoError(t, l.StartWorker(lrm.Order{SID: "vm:100", State: ha.RequestStop}))
	require.Contains(t, workers.services, ha.SID("vm:100"))
	require.Len(t, workers.started, 2)
}

// Whatever hangs, no call does for longer than its limit.
func TestAFileSystemThatHangs(t *testing.T) {
	w := newWorld(t)
	fs, err := pmxcfsio.New(pmxcfsio.Config{
		Root: w.mounts.Path("node1"), ReadTimeout: 200 * time.Millisecond, WriteTimeout: 400 * time.Millisecond,
	})
	require.NoError(t, err)
	var lines recorder
	c, err := NewCRM(CRMConfig{Config: Config{Node: "node1", Files: fs, Log: lines.log, StateDir: t.TempDir(), Links: LinkConfig{Off: true}}})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	_, err = w.cluster.Inject(cfsemu.Fault{Node: "node1", Kind: cfsemu.FaultHang})
	require.NoError(t, err)
	defer w.cluster.ClearFaults()
	start := time.Now()
	require.False(t, c.Refresh())
	require.False(t, c.Quorate())
	require.False(t, c.ManagerLock())
	for name, call := range map[string]func() error{
		"read status":  func() error { _, err := c.ReadManagerStatus(); return err },
		"write status": func() error { return c.WriteManagerStatus(&ha.ManagerStatus{}) },
		"services":     func() error { _, _, err := c.Services(); return err },
		"members":      func() error { _, err := c.Members(); return err },
		"steal":        func() error { return c.Steal("vm:101", "node1", "node2") },
		"commands":     func() error { _, err := c.TakeCommands(); return err },
	} {
		err := call()
		require.Error(t, err, name)
		require.True(t, errors.Is(err, pmxcfsio.ErrTimeout) || errors.Is(err, context.DeadlineExceeded), "%s: %v", name, err)
	}
	require.Less(t, time.Since(start), 20*time.Second)
}
