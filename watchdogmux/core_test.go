package watchdogmux

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// script drives a core and notes what it orders, one word for each action.
type script struct {
	*testing.T
	core *Core
	now  time.Duration
}

func newScript(t *testing.T, config CoreConfig) *script {
	return &script{T: t, core: NewCore(config), now: 1000 * time.Hour}
}

var actionNames = map[ActionKind]string{
	Feed: "feed", SyncJournal: "sync", MarkActive: "mark", UnmarkActive: "unmark", CloseClient: "close",
	RefuseClient: "refuse", StopListening: "deafen", Disarm: "disarm", Exit: "exit",
}

func (s *script) tell(e Event) string {
	e.At = s.now
	var words []string
	for _, a := range s.core.Handle(e) {
		if a.Kind != Log {
			words = append(words, actionNames[a.Kind])
		}
	}
	return strings.Join(words, " ")
}

// ticks lets time pass with a tick every half second.
func (s *script) ticks(d time.Duration) (fed int, other string) {
	for end := s.now + d; s.now < end; {
		s.now += TickInterval
		for _, word := range strings.Fields(s.tell(Event{Kind: Tick})) {
			if word == "feed" {
				fed++
			} else {
				other = strings.TrimSpace(other + " " + word)
			}
		}
	}
	return fed, other
}

func TestCoreFeedsEverySecond(t *testing.T) {
	s := newScript(t, CoreConfig{MaxClients: 1})
	require.Equal(t, "feed", s.tell(Event{Kind: Tick}), "the first tick feeds")
	fed, other := s.ticks(time.Hour)
	require.Equal(t, 3600, fed)
	require.Empty(t, other)
}

func TestCoreExpiresAfterSixtySecondsAndNotAt(t *testing.T) {
	s := newScript(t, CoreConfig{MaxClients: 1})
	require.Equal(t, "mark", s.tell(Event{Kind: Connect}))
	fed, other := s.ticks(60 * time.Second)
	require.Equal(t, 60, fed)
	require.Equal(t, "sync", other, "the warning")
	require.False(t, s.core.Doomed())
	s.now++
	require.Equal(t, "deafen sync", s.tell(Event{Kind: Tick}))
	require.True(t, s.core.Doomed())
	fed, other = s.ticks(time.Minute)
	require.Zero(t, fed)
	require.Empty(t, other)
}

func TestCoreStaysDoomed(t *testing.T) {
	s := newScript(t, CoreConfig{MaxClients: 3})
	s.tell(Event{Kind: Connect, Client: 0})
	s.tell(Event{Kind: Connect, Client: 1})
	require.Equal(t, "close deafen sync", s.tell(Event{Kind: HangUp, Client: 0}))
	require.Equal(t, "refuse", s.tell(Event{Kind: Connect, Client: 2}))
	require.Empty(t, s.tell(Event{Kind: Bytes, Client: 1, Last: goodbye}))
	require.Equal(t, "close", s.tell(Event{Kind: HangUp, Client: 1}), "the marker stays")
	fed, _ := s.ticks(time.Hour)
	require.Zero(t, fed)
	require.Equal(t, "sync exit", s.tell(Event{Kind: Terminate}))
	require.Empty(t, s.tell(Event{Kind: Tick}), "nothing after the end")
}

// A device without magic close stops with the daemon: nobody would be reset.
func TestCoreStaysWithADeviceThatStopsOnClose(t *testing.T) {
	s := newScript(t, CoreConfig{MaxClients: 1, StopsOnClose: true})
	s.tell(Event{Kind: Connect})
	require.Equal(t, "deafen sync", s.tell(Event{Kind: Terminate}))
	fed, _ := s.ticks(time.Minute)
	require.Zero(t, fed)

	s = newScript(t, CoreConfig{MaxClients: 1, StopsOnClose: true})
	require.Equal(t, "deafen disarm exit", s.tell(Event{Kind: Terminate}), "without clients it ends")
}

func TestCoreDoesNotLetOldBytesBuyTime(t *testing.T) {
	for name, test := range map[string]struct {
		gap    time.Duration
		doomed bool
	}{
		"a late round":        {gap: 5 * time.Second},
		"a suspended machine": {gap: 10 * time.Minute, doomed: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, CoreConfig{MaxClients: 1})
			s.tell(Event{Kind: Connect})
			s.ticks(20 * time.Second)
			s.now += test.gap
			s.tell(Event{Kind: Bytes, Last: 0})
			s.tell(Event{Kind: Tick})
			require.Equal(t, test.doomed, s.core.Doomed())
		})
	}
}

func TestCoreIgnoresWhatMakesNoSense(t *testing.T) {
	s := newScript(t, CoreConfig{MaxClients: 1})
	for _, id := range []ClientID{-1, 0, 1, 99} {
		for _, kind := range []EventKind{Bytes, HalfClose, HangUp, 0, 200} {
			require.Empty(t, s.tell(Event{Kind: kind, Client: id}))
		}
	}
	require.Equal(t, "refuse", s.tell(Event{Kind: Connect, Client: 1}))
	require.Equal(t, "mark", s.tell(Event{Kind: Connect, Client: 0}))
	require.Equal(t, "refuse", s.tell(Event{Kind: Connect, Client: 0}), "the place is taken")
	s.now -= time.Hour
	fed, other := s.ticks(time.Minute)
	require.Equal(t, 1, fed, "a clock that stands feeds once")
	require.Empty(t, other)
}

func TestCoreDoesNotAllocate(t *testing.T) {
	core := NewCore(CoreConfig{MaxClients: 100})
	now := time.Hour
	for i := range 100 {
		core.Handle(Event{Kind: Connect, At: now, Client: ClientID(i)})
	}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		now += TickInterval
		for i := range 100 {
			core.Handle(Event{Kind: Bytes, At: now, Client: ClientID(i)})
		}
		core.Handle(Event{Kind: Tick, At: now})
	}))
	require.False(t, core.Doomed())
}
