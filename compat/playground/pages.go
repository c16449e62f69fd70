package playground

import (
	"encoding/json"
)

// page is somebody who watches the session.
type page struct {
	events chan event // closed when the page was too slow, or when the session began anew
}

// event is one message to a page.
type event struct {
	name string
	data []byte
}

// Names of the events.
const (
	eventStart = "start" // everything: the history, then the clock
	eventFrame = "frame"
	eventClock = "clock"
)

// maxBehind is how many events a page may be behind before it has to start
// anew.
const maxBehind = 256

// beginning is the first event of a page.
type beginning struct {
	Base   *Frame   `json:"base"`
	Frames []*Frame `json:"frames"`
	Clock  Clock    `json:"clock"`
}

// watch adds a page. Its first event holds everything that was until now.
func (s *Session) watch() *page {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &page{events: make(chan event, maxBehind)}
	p.events <- s.beginning()
	s.pages[p] = true
	return p
}

func (s *Session) unwatch(p *page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pages, p)
}

func (s *Session) beginning() event {
	s.tick()
	h := s.play.history
	return event{eventStart, encode(beginning{Base: h.base.whole(), Frames: h.frames, Clock: s.clock})}
}

// encode cannot fail: what is told to pages is text and numbers.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// tell sends an event to every page. One that does not keep up is let go: it
// comes back and gets everything anew.
func (s *Session) tell(e event) {
	for p := range s.pages {
		select {
		case p.events <- e:
		default:
			close(p.events)
			delete(s.pages, p)
		}
	}
}

// framed is a frame with the clock at that time.
type framed struct {
	Frame json.RawMessage `json:"frame"`
	Clock Clock           `json:"clock"`
}

// publish tells every page what changed.
func (s *Session) publish() {
	data := s.play.history.add(s.play.frame())
	s.tell(event{eventFrame, encode(framed{data, s.clock})})
}

func (s *Session) publishClock() { s.tell(event{eventClock, encode(s.clock)}) }

// restart gives every page everything anew.
func (s *Session) restart() { s.tell(s.beginning()) }
