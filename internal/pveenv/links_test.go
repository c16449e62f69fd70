package pveenv

import (
	"bufio"
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"pveha/internal/ha"
)

var recordNetlink = flag.Bool("record-netlink", false, "record the kernel's messages of testdata/netlink.txt anew")

// namespace is a network namespace of its own, with what the commands of ip(8)
// make in it.
func namespace(t *testing.T, commands ...string) (fd int, run func(command string)) {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("there is no ip here")
	}
	name := fmt.Sprintf("pveenv-%d-%d", os.Getpid(), worlds.Add(1))
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Skipf("no network namespace can be made here: %s", out)
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("ip", "netns", "del", name).Run()) })
	file, err := os.Open("/run/netns/" + name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	run = func(command string) {
		t.Helper()
		out, err := exec.Command("ip", append([]string{"-n", name}, strings.Fields(command)...)...).CombinedOutput()
		require.NoError(t, err, "ip %s: %s", command, out)
	}
	for _, c := range commands {
		run(c)
	}
	return int(file.Fd()), run
}

// cableCommands make a cable of two ends, of which "near" has the cluster's
// address.
var cableCommands = []string{
	"link set lo up", "link add near type veth peer name far", "addr add 10.99.0.1/24 dev near",
	"link set near up", "link set far up", "link add other type bridge", "link set other up",
}

func watchLinks(t *testing.T, fd int, addresses ...string) (*linkWatch, *recorder, func() int) {
	t.Helper()
	var lines recorder
	var parsed []netip.Addr
	for _, a := range addresses {
		parsed = append(parsed, netip.MustParseAddr(a))
	}
	var mu sync.Mutex
	changes := 0
	w := newLinkWatch(LinkConfig{NetNS: fd, Addresses: func() []netip.Addr { return parsed }}, time.Now, lines.log, func() {
		mu.Lock()
		defer mu.Unlock()
		changes++
	})
	ctx, cancel := context.WithCancel(t.Context())
	var loop sync.WaitGroup
	loop.Go(func() { w.run(ctx) })
	t.Cleanup(func() { cancel(); loop.Wait() })
	return w, &lines, func() int {
		mu.Lock()
		defer mu.Unlock()
		return changes
	}
}

func known(w *linkWatch) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.known)
}

func TestALostCarrierIsTold(t *testing.T) {
	fd, run := namespace(t, cableCommands...)
	w, lines, changes := watchLinks(t, fd, "10.99.0.1", "10.99.7.7")
	eventually(t, "the watch began", func() bool { return known(w) == 1 })
	require.Empty(t, w.down())

	run("link set far down")
	eventually(t, "the loss is told", func() bool { return lines.has("cluster network link 'near' lost its carrier") })
	require.Len(t, w.down(), 1)
	require.WithinDuration(t, time.Now(), w.down()["near"], 20*time.Second)
	eventually(t, "and wakes the daemon", func() bool { return changes() == 1 })

	run("link set far up")
	eventually(t, "the return is told", func() bool { return lines.has("cluster network link 'near' is back after ") })
	require.Empty(t, w.down())

	run("link set other down")
	run("link del near") // which the kernel may tell in two steps
	eventually(t, "the removal is told", func() bool { return len(w.down()) == 1 })
	eventually(t, "the removal is told", func() bool { return len(lines.texts()) >= 3 })
	require.Len(t, lines.texts(), 3, "no word of links that carry no traffic of the cluster: %q", lines.texts())
	require.Equal(t, ha.LevelWarning, lines.entries()[0].Level)
}

func TestALinkThatIsDownAtTheStartIsTold(t *testing.T) {
	fd, run := namespace(t, cableCommands...)
	run("link set far down")
	w, lines, _ := watchLinks(t, fd, "10.99.0.1")
	eventually(t, "it is told", func() bool { return lines.has("cluster network link 'near' has no carrier") })
	require.Equal(t, map[string]time.Time{"near": {}}, w.down())
	run("link set far up")
	eventually(t, "the return is told", func() bool { return lines.has("cluster network link 'near' is back") })
}

// The cluster's address is often on a bridge, whose carrier is that of the
// cable as long as no guest's device hides it.
func TestABridgeIsWatched(t *testing.T) {
	fd, run := namespace(t,
		"link add cable type veth peer name far", "link add vmbr0 type bridge", "link set cable master vmbr0",
		"link set far up", "link set cable up", "link set vmbr0 up", "addr add fd99::1/64 dev vmbr0")
	w, lines, _ := watchLinks(t, fd, "fd99::1")
	eventually(t, "the watch began", func() bool { return known(w) == 1 })
	run("link set far down")
	eventually(t, "the loss is told", func() bool { return lines.has("cluster network link 'vmbr0' lost its carrier") })
}

// A guest's device on the bridge would hide that the cable is pulled.
func TestWhatCarriesABridgeIsWatched(t *testing.T) {
	address := netip.MustParseAddr("10.0.0.1")
	table := tableOf(
		link{Index: 2, Name: "eno1", ether: true, master: 4}, link{Index: 3, Name: "eno2", ether: true, master: 4},
		link{Index: 4, Name: "bond0", ether: true, Kind: "bond"},
		link{Index: 5, Name: "bond0.5", ether: true, Kind: "vlan", lower: 4, master: 6},
		link{Index: 6, Name: "vmbr0", ether: true, Kind: "bridge", Up: true},
		link{Index: 7, Name: "tap100i0", ether: true, Kind: "tun", master: 6, Up: true},
		link{Index: 8, Name: "eno3", ether: true}, link{Index: 9, Name: "veth200i0", ether: true, Kind: "veth", lower: 8, master: 6},
	)
	table.addrs[address] = 6
	links, exact := table.cluster([]netip.Addr{address})
	require.True(t, exact)
	var names []string
	for _, l := range links {
		names = append(names, l.Name)
	}
	require.Equal(t, []string{"bond0", "bond0.5", "eno1", "eno2", "vmbr0"}, names)
}

func TestAWatchThatCannotBeginSaysSo(t *testing.T) {
	_, lines, _ := watchLinks(t, 1<<20)
	eventually(t, "it is told", func() bool { return lines.has("network links cannot be watched - ") })
}

// records returns the kernel's messages in testdata/netlink.txt by part:
// "list" is what it answers when asked for everything, the others are what it
// tells when something happens.
func records(t *testing.T) map[string][]netlink.Message {
	t.Helper()
	if *recordNetlink {
		record(t)
	}
	file, err := os.Open("testdata/netlink.txt")
	require.NoError(t, err)
	defer file.Close()
	parts, part := map[string][]netlink.Message{}, ""
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		line := scanner.Text()
		if name, ok := strings.CutPrefix(line, "# "); ok {
			part = name
			continue
		}
		raw, err := hex.DecodeString(line)
		require.NoError(t, err)
		var m netlink.Message
		require.NoError(t, m.UnmarshalBinary(raw))
		parts[part] = append(parts[part], m)
	}
	return parts
}

// record writes down what the kernel says while a cable is pulled.
func record(t *testing.T) {
	t.Helper()
	fd, run := namespace(t, append(cableCommands,
		"link add up1 type bridge", "link set up1 up", "link set near master up1", "addr add fd99::7/64 dev up1 nodad")...)
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{
		NetNS: fd, Groups: 1<<(unix.RTNLGRP_LINK-1) | 1<<(unix.RTNLGRP_IPV4_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_IFADDR-1),
	})
	require.NoError(t, err)
	defer conn.Close()
	var text strings.Builder
	write := func(messages []netlink.Message) {
		for _, m := range messages {
			raw, err := m.MarshalBinary()
			require.NoError(t, err)
			fmt.Fprintf(&text, "%x\n", raw)
		}
	}
	text.WriteString("# list\n")
	for _, q := range []struct {
		kind netlink.HeaderType
		size int
	}{{unix.RTM_GETLINK, linkHeader}, {unix.RTM_GETADDR, addrHeader}} {
		list, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{NetNS: fd})
		require.NoError(t, err)
		answer, err := list.Execute(netlink.Message{
			Header: netlink.Header{Type: q.kind, Flags: netlink.Request | netlink.Dump}, Data: make([]byte, q.size),
		})
		require.NoError(t, err)
		require.NoError(t, list.Close())
		write(answer)
	}
	for _, step := range [][2]string{
		{"pulled", "link set far down"}, {"plugged", "link set far up"}, {"removed", "link del near"},
	} {
		text.WriteString("# " + step[0] + "\n")
		run(step[1])
		for {
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(2*time.Second)))
			messages, err := conn.Receive()
			if err != nil {
				break
			}
			write(messages)
		}
	}
	require.NoError(t, os.WriteFile("testdata/netlink.txt", []byte(text.String()), 0o644))
}

func TestRecordedMessages(t *testing.T) {
	parts := records(t)
	table := newLinkTable()
	apply := func(part string) {
		require.NotEmpty(t, parts[part], part)
		for _, m := range parts[part] {
			require.NoError(t, table.apply(m))
		}
	}
	states := func(addresses ...string) map[string]bool {
		var parsed []netip.Addr
		for _, a := range addresses {
			parsed = append(parsed, netip.MustParseAddr(a))
		}
		links, exact := table.cluster(parsed)
		require.Equal(t, len(links) > 0, exact)
		up := map[string]bool{}
		for _, l := range links {
			up[l.Name] = l.Up
		}
		return up
	}
	apply("list")
	require.Equal(t, map[string]bool{"near": true}, states("10.99.0.1"))
	require.Equal(t, map[string]bool{"up1": true}, states("fd99::7"))
	require.Equal(t, map[string]bool{"lo": true}, states("127.0.0.1"))
	require.Empty(t, states("10.99.0.2"))
	apply("pulled")
	require.Equal(t, map[string]bool{"near": false, "up1": false}, states("fd99::7", "10.99.0.1"))
	apply("plugged")
	require.Equal(t, map[string]bool{"near": true, "up1": true}, states("fd99::7", "10.99.0.1"))
	apply("removed")
	require.Equal(t, map[string]bool{"up1": false}, states("10.99.0.1", "fd99::7"))
}

// A message that is cut off anywhere is an error or less, never a crash.
func TestMessagesThatAreCutOff(t *testing.T) {
	for _, messages := range records(t) {
		for _, m := range messages {
			whole := m.Data
			for n := range whole {
				m.Data = whole[:n:n]
				_ = newLinkTable().apply(m)
			}
		}
	}
	require.Error(t, newLinkTable().apply(netlink.Message{Header: netlink.Header{Type: unix.RTM_NEWLINK}}))
	require.Error(t, newLinkTable().apply(netlink.Message{Header: netlink.Header{Type: unix.RTM_NEWADDR}}))
	require.NoError(t, newLinkTable().apply(netlink.Message{Header: netlink.Header{Type: unix.RTM_NEWROUTE}}))
}

// tableOf returns a table of devices without the kernel's help.
func tableOf(links ...link) *linkTable {
	t := newLinkTable()
	for _, l := range links {
		t.links[l.Index] = l
	}
	return t
}

func TestWithoutAnAddressTheNetworkCardsAreWatched(t *testing.T) {
	table := tableOf(
		link{Index: 1, Name: "lo"}, link{Index: 2, Name: "eno2", ether: true}, link{Index: 3, Name: "eno1", ether: true, Up: true},
		link{Index: 4, Name: "vmbr0", ether: true, Kind: "bridge"})
	links, exact := table.cluster(nil)
	require.False(t, exact)
	require.Equal(t, []string{"eno1", "eno2"}, []string{links[0].Name, links[1].Name})

	var lines recorder
	w := newLinkWatch(LinkConfig{}, time.Now, lines.log, nil)
	w.compare(table)
	require.Empty(t, lines.texts(), "a card without a cable is nothing to be told")
	table.links[3] = link{Index: 3, Name: "eno1", ether: true}
	w.compare(table)
	require.Equal(t, []string{"cluster network link 'eno1' lost its carrier"}, lines.texts())
}

// When the device with the cluster's address is taken away, the cards that are
// not connected are no news.
func TestTheWatchStaysWithTheLinksOfTheCluster(t *testing.T) {
	address := netip.MustParseAddr("10.0.0.1")
	var lines recorder
	w := newLinkWatch(LinkConfig{Addresses: func() []netip.Addr { return []netip.Addr{address} }}, time.Now, lines.log, nil)
	table := tableOf(link{Index: 2, Name: "eno2", ether: true}, link{Index: 3, Name: "eno1", ether: true, Up: true})
	table.addrs[address] = 3
	w.compare(table)
	delete(table.addrs, address)
	w.compare(table)
	require.Empty(t, lines.texts(), "the link itself works")
	delete(table.links, 3)
	w.compare(table)
	w.compare(table)
	require.Equal(t, []string{"cluster network link 'eno1' was removed"}, lines.texts())
	table.links[3] = link{Index: 3, Name: "eno1", ether: true, Up: true}
	table.addrs[address] = 2
	w.compare(table)
	w.compare(table)
	require.Equal(t, []string{
		"cluster network link 'eno1' was removed", "cluster network link 'eno2' has no carrier",
	}, lines.texts(), "the address has moved")
}

func TestCorosyncAddresses(t *testing.T) {
	const text = `logging {
  debug: off
}
nodelist {
  node {
    name: node1
    nodeid: 1
    ring0_addr: 10.0.0.1
    ring1_addr: fd00::1
  }
  node {
    ring0_addr: 10.0.0.2
    ring1_addr: node2-ring1 # a host name
    ring2_addr:   ::ffff:10.1.0.2
    name: node2
  }
}
totem {
  interface {
    linknumber: 0
  }
}
`
	for node, want := range map[string][]string{
		"node1": {"10.0.0.1", "fd00::1"}, "node2": {"10.0.0.2", "10.1.0.2"}, "node3": nil, "": nil,
	} {
		var got []string
		for _, a := range corosyncAddresses(text, node) {
			got = append(got, a.String())
		}
		require.Equal(t, want, got, node)
	}
	require.Empty(t, corosyncAddresses("}\nnode {\n}\n}", "node1"))
}
