package pveenv

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// listenDatagrams plays the journal: it returns what is sent to path.
func listenDatagrams(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func receive(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	buffer := make([]byte, 1<<17)
	n, err := conn.Read(buffer)
	require.NoError(t, err)
	return string(buffer[:n])
}

// fields reads the journal's native protocol.
func fields(t *testing.T, datagram string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for datagram != "" {
		line, rest, ok := strings.Cut(datagram, "\n")
		require.True(t, ok, "a line without an end: %q", datagram)
		if name, value, ok := strings.Cut(line, "="); ok {
			all[name], datagram = value, rest
			continue
		}
		size := binary.LittleEndian.Uint64([]byte(rest[:8]))
		all[line] = rest[8 : 8+size]
		require.Equal(t, byte('\n'), rest[8+size])
		datagram = rest[8+size+1:]
	}
	return all
}

func TestJournalEntriesHaveFields(t *testing.T) {
	dir := shortDir(t)
	socket := listenDatagrams(t, dir+"/journal")
	var watched syncBuffer
	j := OpenJournal(JournalConfig{
		Identifier: "pve-ha-crm", Node: "node1", Socket: dir + "/journal", Syslog: dir + "/none",
		Fallback: failingWriter{t}, Copy: &watched,
	})
	j.Log(ha.Entry{Level: ha.LevelErr, Text: "a = b\n", SID: "vm:100", Node: "node2"})
	j.Log(ha.Entry{Level: ha.LevelInfo, Text: "two\nlines"})
	require.Equal(t, map[string]string{
		"MESSAGE": "a = b", "PRIORITY": "3", "SYSLOG_FACILITY": "3", "SYSLOG_IDENTIFIER": "pve-ha-crm",
		"SYSLOG_PID": fmt.Sprint(os.Getpid()), "HA_LOCAL_NODE": "node1", "HA_SID": "vm:100", "HA_NODE": "node2",
	}, fields(t, receive(t, socket)))
	require.Equal(t, map[string]string{
		"MESSAGE": "two\nlines", "PRIORITY": "6", "SYSLOG_FACILITY": "3", "SYSLOG_IDENTIFIER": "pve-ha-crm",
		"SYSLOG_PID": fmt.Sprint(os.Getpid()), "HA_LOCAL_NODE": "node1",
	}, fields(t, receive(t, socket)))
	j.Close(10 * time.Second)
	require.Equal(t, "a = b\ntwo\nlines\n", watched.String())
	j.Log(ha.Entry{Text: "after the end"})
	j.Close(time.Second)
}

func TestJournalEntriesHaveTheNewState(t *testing.T) {
	for text, want := range map[string]string{
		"status change slave => master":                                                       "master",
		"node 'node3': state changed from 'unknown' => 'fence'":                               "fence",
		"service 'vm:100': state changed from 'started' to 'migrate'  (node = a, target = b)": "migrate",
		"service 'vm:100': state changed from 'fence' to 'recovery'":                          "recovery",
		"successfully acquired lock 'ha_manager_lock'":                                        "",
		"got crm command: migrate vm:100 node2":                                               "",
		"":                                                                                    "",
	} {
		require.Equal(t, want, stateAfter(text), text)
	}
}

func TestLevelsHaveTheirSyslogNumbers(t *testing.T) {
	for level, want := range map[ha.Level]int{
		ha.LevelErr: 3, ha.LevelWarning: 4, ha.LevelNotice: 5, ha.LevelInfo: 6, ha.LevelDebug: 7, "other": 6,
	} {
		require.Equal(t, want, priority(level), level)
	}
}

func TestWithoutAJournalLinesGoToSyslogAndThenToTheFallback(t *testing.T) {
	dir := shortDir(t)
	syslog := listenDatagrams(t, dir+"/log")
	var fallback syncBuffer
	j := OpenJournal(JournalConfig{Identifier: "pve-ha-lrm", Socket: dir + "/none", Syslog: dir + "/log", Fallback: &fallback})
	j.Log(ha.Entry{Level: ha.LevelWarning, Text: "to syslog"})
	require.Regexp(t, `^<28>\w{3} [ \d]\d \d\d:\d\d:\d\d pve-ha-lrm\[\d+\]: to syslog$`, receive(t, syslog))
	require.NoError(t, syslog.Close())
	require.NoError(t, os.RemoveAll(dir+"/log"))
	j.Log(ha.Entry{Level: ha.LevelErr, Text: "to the\nfallback"})
	socket := func() *net.UnixConn {
		eventually(t, "the fallback gets the lines", func() bool { return fallback.String() != "" })
		return listenDatagrams(t, dir+"/none")
	}()
	j.Log(ha.Entry{Level: ha.LevelInfo, Text: "to the journal that came"})
	require.Contains(t, receive(t, socket), "MESSAGE=to the journal that came\n")
	j.Close(10 * time.Second)
	require.Equal(t, "<3>to the\n<3>fallback\n", fallback.String())
}

// A journal that hangs keeps nobody waiting, and takes the lines again when it
// is well.
func TestAJournalThatHangsStopsNobody(t *testing.T) {
	dir := shortDir(t)
	socket := listenDatagrams(t, dir+"/journal")
	j := OpenJournal(JournalConfig{Identifier: "x", Socket: dir + "/journal", Syslog: dir + "/none"})
	const lines = 3 * journalQueue
	start := time.Now()
	for i := range lines {
		j.Log(ha.Entry{Level: ha.LevelInfo, Text: fmt.Sprint("line ", i)})
	}
	require.Less(t, time.Since(start), 5*time.Second)
	start = time.Now()
	j.Close(100 * time.Millisecond)
	require.Less(t, time.Since(start), 5*time.Second)
	require.Contains(t, receive(t, socket), "MESSAGE=line 0\n")
	require.NoError(t, socket.Close())
	<-j.done
}

func TestLinesThatWereLeftOutAreCounted(t *testing.T) {
	writing, gate := make(chan struct{}, 1), make(chan struct{})
	dir := shortDir(t)
	var fallback syncBuffer
	slow := writerFunc(func(p []byte) (int, error) {
		select {
		case writing <- struct{}{}:
		default:
		}
		<-gate
		return fallback.Write(p)
	})
	j := OpenJournal(JournalConfig{Identifier: "x", Socket: dir + "/none", Syslog: dir + "/none", Fallback: slow})
	j.Log(ha.Entry{Level: ha.LevelInfo, Text: "first"})
	<-writing // and so no longer in the queue
	for i := range journalQueue + 100 {
		j.Log(ha.Entry{Level: ha.LevelInfo, Text: fmt.Sprint(i)})
	}
	close(gate)
	j.Close(20 * time.Second)
	text := fallback.String()
	last := fmt.Sprintf("<6>%d\n<4>100 messages were left out\n", journalQueue-1)
	require.True(t, strings.HasSuffix(text, last), text[max(0, len(text)-200):])
	require.Equal(t, 1, strings.Count(text, "left out"))
}

func TestAnEntryFitsIntoADatagram(t *testing.T) {
	dir := shortDir(t)
	socket := listenDatagrams(t, dir+"/journal")
	j := OpenJournal(JournalConfig{Identifier: "x", Socket: dir + "/journal", Syslog: dir + "/none"})
	j.Log(ha.Entry{Level: ha.LevelInfo, Text: strings.Repeat("x", 1<<20)})
	require.Len(t, fields(t, receive(t, socket))["MESSAGE"], maxEntryText+len("..."))
	j.Close(10 * time.Second)
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

type failingWriter struct{ t *testing.T }

func (w failingWriter) Write(p []byte) (int, error) {
	w.t.Errorf("written to the fallback: %q", p)
	return len(p), nil
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
