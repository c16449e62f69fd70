package pveenv

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// netlinkOrder is the byte order of netlink messages.
var netlinkOrder = binary.NativeEndian

// LinkConfig says how the network links are watched.
type LinkConfig struct {
	// Off leaves the links alone.
	Off bool
	// Addresses returns the local addresses of the cluster's own links. Nil:
	// those of corosync.conf and of the membership.
	Addresses func() []netip.Addr
	// NetNS is a descriptor of the network namespace to watch; 0: the
	// process's own.
	NetNS int
}

// relinkPause is how long the watch waits before it asks for a new socket
// after it lost one.
const relinkPause = 10 * time.Second

// linkWatch follows the carrier of the links on which the cluster's traffic
// depends, and says when one is lost and when it is back.
type linkWatch struct {
	config  LinkConfig
	log     func(ha.Entry)
	now     func() time.Time
	changed func() // called after a change

	mu    sync.Mutex
	exact bool                 // links with the cluster's addresses were found
	known map[string]linkState // by name
}

// linkState is a watched link as it was said to be.
type linkState struct {
	up    bool
	since time.Time // zero: since before the watch began
}

func newLinkWatch(config LinkConfig, now func() time.Time, log func(ha.Entry), changed func()) *linkWatch {
	return &linkWatch{config: config, log: log, now: now, changed: changed, known: map[string]linkState{}}
}

// run watches until the context ends. What fails is said once and tried again.
func (w *linkWatch) run(ctx context.Context) {
	said := ""
	for ctx.Err() == nil {
		err := w.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if text := err.Error(); text != said {
			said = text
			w.log(ha.Entry{Level: ha.LevelWarning, Text: "network links cannot be watched - " + text})
		}
		_ = pmxcfsio.SystemClock{}.Sleep(ctx, relinkPause)
	}
}

// session asks for all devices and addresses, and follows their changes until
// something fails.
func (w *linkWatch) session(ctx context.Context) error {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{
		NetNS:  w.config.NetNS,
		Groups: 1<<(unix.RTNLGRP_LINK-1) | 1<<(unix.RTNLGRP_IPV4_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_IFADDR-1),
	})
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends Receive
	defer func() {
		if stop() {
			_ = conn.Close()
		}
	}()
	table, err := w.list()
	if err != nil {
		return err
	}
	for {
		w.compare(table)
		messages, err := conn.Receive()
		if errors.Is(err, unix.ENOBUFS) { // some were lost: ask for all
			if table, err = w.list(); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		for _, m := range messages {
			if err := table.apply(m); err != nil {
				return err
			}
		}
	}
}

// list asks for all devices and addresses, over a socket that is in no group.
func (w *linkWatch) list() (*linkTable, error) {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{NetNS: w.config.NetNS})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(relinkPause)); err != nil {
		return nil, err
	}
	table := newLinkTable()
	for _, q := range []struct {
		kind netlink.HeaderType
		size int
	}{{unix.RTM_GETLINK, linkHeader}, {unix.RTM_GETADDR, addrHeader}} {
		messages, err := conn.Execute(netlink.Message{
			Header: netlink.Header{Type: q.kind, Flags: netlink.Request | netlink.Dump},
			Data:   make([]byte, q.size),
		})
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			if err := table.apply(m); err != nil {
				return nil, err
			}
		}
	}
	return table, nil
}

// compare says what has changed of the links of the cluster.
func (w *linkWatch) compare(table *linkTable) {
	var addresses []netip.Addr
	if w.config.Addresses != nil {
		addresses = w.config.Addresses()
	}
	w.mu.Lock()
	lines := w.update(table, addresses, w.now())
	w.mu.Unlock()
	for _, line := range lines {
		w.log(line)
	}
	if len(lines) > 0 && w.changed != nil {
		w.changed()
	}
}

// update takes over the state of the links and returns what is to be said.
func (w *linkWatch) update(table *linkTable, addresses []netip.Addr, now time.Time) (lines []ha.Entry) {
	links, exact := table.cluster(addresses)
	if exact {
		w.exact = true
	} else if w.exact {
		links = nil // no address is left: go on with the devices that had them
	}
	watched := map[string]bool{}
	for _, l := range links {
		watched[l.Name] = true
		if _, known := w.known[l.Name]; !known {
			w.known[l.Name] = linkState{up: l.Up}
			if !l.Up && exact {
				lines = append(lines, linkLine(ha.LevelWarning, "cluster network link '%s' has no carrier", l.Name))
			}
		}
	}
	for _, name := range sortedKeys(w.known) {
		l, exists := table.byName(name)
		old := w.known[name]
		switch {
		case exists && exact && !watched[name]: // the address is elsewhere now
			delete(w.known, name)
		case l.Up == old.up:
		case l.Up:
			w.known[name] = linkState{up: true, since: now}
			lines = append(lines, linkLine(ha.LevelNotice, "cluster network link '%s' is back%s", name, after(old.since, now)))
		default:
			w.known[name] = linkState{since: now}
			what := "lost its carrier"
			if !exists {
				what = "was removed"
			}
			lines = append(lines, linkLine(ha.LevelWarning, "cluster network link '%s' %s", name, what))
		}
	}
	return lines
}

func linkLine(level ha.Level, format string, args ...any) ha.Entry {
	return ha.Entry{Level: level, Text: fmt.Sprintf(format, args...)}
}

func after(since, now time.Time) string {
	if since.IsZero() {
		return ""
	}
	return fmt.Sprintf(" after %d seconds", int(now.Sub(since)/time.Second))
}

// down returns the watched links without a carrier and since when, as far as
// that is known.
func (w *linkWatch) down() map[string]time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	down := map[string]time.Time{}
	for name, state := range w.known {
		if !state.up {
			down[name] = state.since
		}
	}
	return down
}
