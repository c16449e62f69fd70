package agent

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const greeting = `{"QMP": {"version": {"qemu": {"micro": 0, "minor": 1, "major": 10}}, "capabilities": []}}` + "\r\n"

// monitor serves one connection of a VM's monitor: it greets, and then says one
// of answers for each command, with $ID for the command's own. It returns what
// it was asked, after the connection.
func monitor(t *testing.T, socket, hello string, answers ...string) <-chan []string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(socket), 0o755))
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	asked := make(chan []string, 1)
	go func() {
		var commands []string
		defer func() { asked <- commands }()
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, hello)
		buf := make([]byte, 1000)
		for _, answer := range answers {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			command := string(buf[:n])
			commands = append(commands, command)
			_, id, _ := strings.Cut(command, `"id":"`)
			id, _, _ = strings.Cut(id, `"`)
			if answer == "hang" {
				_, _ = io.Copy(io.Discard, conn)
				return
			}
			fmt.Fprint(conn, strings.ReplaceAll(answer, "$ID", id))
		}
	}()
	return asked
}

const (
	agreed    = `{"return": {}, "id": "$ID"}` + "\r\n"
	event     = `{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}` + "\r\n"
	prelaunch = `{"return": {"status": "prelaunch", "running": false}, "id": "$ID"}` + "\r\n"
	running   = `{"return": {"status": "running", "running": true}, "id": "$ID"}` + "\r\n"
)

func TestMonitorTellsTheState(t *testing.T) {
	for name, c := range map[string]struct {
		hello   string
		answers []string
		want    string
		fail    string
	}{
		"prelaunch":             {greeting, []string{agreed, prelaunch}, "prelaunch", ""},
		"running":               {greeting, []string{agreed, running}, "running", ""},
		"events in between":     {greeting + event, []string{event + agreed, event + prelaunch}, "prelaunch", ""},
		"refused":               {greeting, []string{agreed, `{"error": {"class": "GenericError", "desc": "no such thing"}, "id": "$ID"}`}, "", "no such thing"},
		"no greeting, no reply": {"", []string{"hang"}, "", "got timeout"},
		"hangs at the first":    {greeting, []string{"hang"}, "", "got timeout"},
		"hangs at the second":   {greeting, []string{agreed, "hang"}, "", "got timeout"},
		"events without end":    {greeting, []string{agreed, strings.Repeat(event, 20000)}, "", "more than 1048576 bytes"},
		"closes":                {greeting, []string{agreed}, "", "client closed connection"},
		"not JSON":              {greeting, []string{"<html>"}, "", "invalid character '<' looking for beginning of value"},
		"another's answer":      {greeting, []string{`{"return": {}, "id": "x"}`}, "", "got wrong command id 'x' (expected qmp_capabilities)"},
		"a state of no kind":    {greeting, []string{agreed, `{"return": [1], "id": "$ID"}`}, "", "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "100.qmp")
			asked := monitor(t, socket, c.hello, c.answers...)
			began := time.Now()
			wait := 10 * time.Second
			if strings.Contains(c.fail, "timeout") {
				wait = 100 * time.Millisecond
			}
			status, err := qmp{vmid: "100", socket: socket, wait: wait}.status()
			require.Less(t, time.Since(began), 30*time.Second)
			if c.fail == "" {
				require.NoError(t, err)
				require.Equal(t, []string{`{"execute":"qmp_capabilities","id":"qmp_capabilities"}`, `{"execute":"query-status","id":"query-status"}`}, <-asked)
			} else {
				require.ErrorContains(t, err, "VM 100 qmp command 'query-status' failed - ")
				require.ErrorContains(t, err, c.fail)
			}
			require.Equal(t, c.want, status)
		})
	}
}

func TestMonitorThatIsNotThere(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "100.qmp")
	q := qmp{vmid: "100", socket: socket, wait: time.Minute}
	_, err := q.status()
	require.EqualError(t, err, "unable to open monitor socket")

	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	require.NoError(t, err)
	l.SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	_, err = q.status()
	require.EqualError(t, err, "VM 100 qmp command 'query-status' failed - unable to connect to VM 100 qmp socket - Connection refused")
}

func TestMonitorInUseIsWaitedFor(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "100.qmp")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer syscall.Close(fd)
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: socket}))
	require.NoError(t, syscall.Listen(fd, 1))
	// Nobody accepts: the connections of others fill the queue.
	for {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			require.ErrorIs(t, err, syscall.EAGAIN)
			break
		}
		t.Cleanup(func() { conn.Close() })
	}
	q := qmp{vmid: "100", socket: socket, wait: 50 * time.Millisecond}
	_, err = q.status()
	require.ErrorContains(t, err, "unable to connect to VM 100 qmp socket - timeout after ")
}

func TestVMThatWaitsForItsBackupDoesNotCount(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		answer string
		want   bool
		logged bool
	}{
		"prelaunch":                         {"lock: backup\n", prelaunch, false, false},
		"running":                           {"lock: backup\n", running, true, false},
		"says nothing sensible":             {"lock: backup\n", "nothing", true, true},
		"without a lock nobody asks":        {"cores: 2\n", prelaunch, true, false},
		"with another lock nobody asks":     {"lock: migrate\n", prelaunch, true, false},
		"a backup of a snapshot's own lock": {"cores: 2\n\n[a]\nlock: backup\n", prelaunch, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, nil)
			m.files.set(vmConfig, c.config)
			put(t, "77\n", m.paths.Run, "qemu-server", "100.pid")
			m.process(t, 77, "S", "kvm", "-pidfile", "/var/run/qemu-server/100.pid")
			monitor(t, filepath.Join(m.paths.Run, "qemu-server", "100.qmp"), greeting, agreed, c.answer)
			got, err := m.agent.Running("vm:100")
			require.NoError(t, err)
			require.Equal(t, c.want, got)
			if !c.logged {
				require.Empty(t, m.log.text())
				return
			}
			lines := m.log.text()
			require.Len(t, lines, 2)
			require.Contains(t, lines[0], "err VM 100 qmp command failed - VM 100 qmp command 'query-status' failed - ")
			require.Contains(t, lines[1], "warning VM 100 qmp command 'query-status' failed - ")
		})
	}
}
