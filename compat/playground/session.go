package playground

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"time"

	"pveha/compat/sim"
	"pveha/crm"
	"pveha/internal/ha"
)

// Speeds of a session, in simulated seconds per second.
const (
	MinSpeed     = 1
	MaxSpeed     = 100
	defaultSpeed = 10
)

func checkSpeed(speed float64) error {
	if !(speed >= MinSpeed && speed <= MaxSpeed) {
		return fmt.Errorf("speed is %v, want a number from %d to %d", speed, MinSpeed, MaxSpeed)
	}
	return nil
}

// Clock says how a session passes.
type Clock struct {
	Paused bool    `json:"paused"`
	Speed  float64 `json:"speed"`
	Time   float64 `json:"time"`   // simulated seconds when this was said
	Over   string  `json:"over"`   // why time does not pass any more; "" while it can
	Unkept string  `json:"unkept"` // why the last change is not on disk; "" when it is
}

// Session is a cluster that passes in real time and is kept in a folder. Its
// methods may be called by several goroutines.
type Session struct {
	now func() time.Time

	mu    sync.Mutex
	store *store
	play  *play
	clock Clock
	since time.Time // real time at which clock.Time was
	wake  chan struct{}
	pages map[*page]bool
}

// Open opens the session kept in a folder, or begins one with what is there: a
// scenario, or a working folder of the Perl stack's simulator, or nothing. A
// folder that cannot be understood is left as it was. An opened session is
// paused; a new one runs.
func Open(dir string) (*Session, error) {
	st, err := openStore(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open the folder: %w", err)
	}
	s := &Session{
		now: time.Now, store: st, wake: make(chan struct{}, 1), pages: map[*page]bool{},
		clock: Clock{Speed: defaultSpeed},
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w (nothing in it was changed)", dir, err), st.Close())
	}
	return s, nil
}

func (s *Session) open() error {
	k, err := s.store.read()
	if err != nil {
		return err
	}
	if k.start == nil {
		files, err := s.store.scenario()
		if err == nil && files == nil {
			files, err = Fresh(3, 6)
		}
		if err != nil {
			return err
		}
		return s.begin(files, nil, 1)
	}
	p, err := newPlay(k.start)
	if err != nil {
		return fmt.Errorf("%s/%s: %w", folderSession, nameStart, err)
	}
	if n := len(k.actions); n > 0 { // one may have been kept before the clock was
		k.at.Rounds = max(k.at.Rounds, k.actions[n-1].Rounds)
	}
	if err := p.replay(k.actions, k.at.Rounds); err != nil {
		return fmt.Errorf("%s/%s: %w", folderSession, nameJournal, err)
	}
	if err := s.store.resume(k.journal); err != nil {
		return err
	}
	s.play, s.since = p, s.now()
	s.clock = Clock{Paused: true, Speed: k.at.Speed, Time: s.within(k.at.Time)}
	return nil
}

// begin takes another start and what was done from there in the place of the
// session, on disk first.
func (s *Session) begin(start Files, actions []Action, rounds int) error {
	p, err := newPlay(start)
	if err != nil {
		return err
	}
	if err := p.replay(actions, rounds); err != nil {
		return err
	}
	if err := s.keepOld(); err != nil {
		return err
	}
	at := saved{Rounds: p.rounds, Time: float64(p.cluster.Now()), Speed: s.clock.Speed}
	if err := s.store.begin(start, actions, at); err != nil {
		return fmt.Errorf("cannot keep the session: %w", err)
	}
	s.play, s.since = p, s.now()
	s.clock.Time, s.clock.Over, s.clock.Unkept = s.within(0), "", ""
	return nil
}

// keepOld puts a recording of what is about to be replaced aside. A session in
// which nobody did anything is no loss, and one whose simulation failed has no
// recording.
func (s *Session) keepOld() error {
	if s.play == nil || len(s.play.actions) == 0 || s.play.halted != "" {
		return nil
	}
	files, err := s.play.recording(s.epoch())
	var data []byte
	if err == nil {
		data, err = FormatArchive(archiveComment, files)
	}
	if err == nil {
		_, err = s.store.keep(data)
	}
	if err != nil {
		return fmt.Errorf("cannot put a recording of what was until now aside: %w", err)
	}
	return nil
}

// Close ends the session; it is on disk already.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tick()
	return errors.Join(s.keepClock(), s.store.Close())
}

// Run lets the session pass until the context ends.
func (s *Session) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		s.mu.Lock()
		wait := s.pass()
		s.mu.Unlock()
		timer.Reset(wait)
	}
}

// idle is how long Run sleeps when time does not pass.
const idle = time.Hour

// pass goes on with every round whose time has come, and returns how long it
// is until the next.
func (s *Session) pass() time.Duration {
	s.tick()
	if s.clock.Paused || s.clock.Over != "" {
		return idle
	}
	if s.clock.Time >= float64(s.play.cluster.RoundEnd()) {
		s.round()
	}
	left := float64(s.play.cluster.RoundEnd()) - s.clock.Time
	return max(0, time.Duration(left/s.clock.Speed*float64(time.Second)))
}

// tick brings the simulated clock up to the real one, but not beyond the round.
func (s *Session) tick() {
	now := s.now()
	if !s.clock.Paused && s.clock.Over == "" {
		s.clock.Time += now.Sub(s.since).Seconds() * s.clock.Speed
	}
	s.since = now
	s.clock.Time = s.within(s.clock.Time)
}

// within limits a time to the round under way. The cluster's own time is ahead
// of it at first, because the daemons have had their turns.
func (s *Session) within(t float64) float64 {
	if !s.play.open {
		return float64(s.play.cluster.Now())
	}
	return min(max(t, float64(s.play.began)), float64(s.play.cluster.RoundEnd()))
}

func (s *Session) epoch() ha.Epoch { return ha.Epoch(math.Floor(s.clock.Time)) }

// round goes on by one round.
func (s *Session) round() {
	over := s.play.next()
	s.clock.Time = s.within(s.clock.Time)
	s.keepRound()
	s.publish()
	if over {
		s.endTime()
	}
}

// endTime tells why time does not pass any more.
func (s *Session) endTime() {
	s.clock.Paused = true
	switch {
	case s.play.halted != "":
		s.clock.Over = s.play.halted
	case s.play.cluster.Now() >= s.play.limit:
		s.clock.Over = "a session holds one week: save it as a recording, go back, or begin a new one"
	}
	s.publishClock()
}

// Do carries out commands now, all or none. In a session that runs the daemons
// have their turns at once.
func (s *Session) Do(texts []string) error {
	commands, err := parseCommands(texts)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkSize(commands); err != nil {
		return err
	}
	s.tick()
	done, err := s.play.execute(s.epoch(), commands)
	if done == 0 {
		return err
	}
	a := Action{Rounds: s.play.rounds, At: s.play.cluster.Now(), Commands: texts[:done]}
	s.clock.Time = s.within(s.clock.Time)
	if keepErr := s.store.append(a); keepErr != nil {
		err = errors.Join(err, fmt.Errorf("carried out, but it cannot be kept: %w", keepErr))
	}
	if s.clock.Paused || s.clock.Over != "" || err != nil {
		s.keepRound()
		s.publish()
		return err
	}
	s.round()
	s.publishClock()
	s.poke()
	return nil
}

// checkSize refuses to add more guests than a session holds.
func (s *Session) checkSize(commands []sim.Command) error {
	guests := len(s.play.history.now.guests)
	for _, cmd := range commands {
		if cmd.Verb == sim.VerbService && cmd.Action == "add" {
			guests++
		}
	}
	if guests > maxGuests {
		return fmt.Errorf("a session holds up to %d guests", maxGuests)
	}
	return nil
}

// poke lets Run look at the clock anew.
func (s *Session) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// keepRound puts the position on disk, before anybody hears of it.
func (s *Session) keepRound() {
	unkept := ""
	if err := s.keepClock(); err != nil {
		unkept = "the session cannot be kept in its folder: " + err.Error()
	}
	if s.clock.Unkept != unkept {
		s.clock.Unkept = unkept
		s.publishClock()
	}
}

func (s *Session) keepClock() error {
	return s.store.save(saved{Rounds: s.play.rounds, Time: s.clock.Time, Speed: s.clock.Speed})
}

// Set changes how time passes; nil leaves a value as it is.
func (s *Session) Set(paused *bool, speed *float64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if speed != nil {
		if err := checkSpeed(*speed); err != nil {
			return err
		}
	}
	s.tick()
	if speed != nil {
		s.clock.Speed = *speed
	}
	if paused != nil {
		if !*paused && s.clock.Over != "" {
			return errors.New(s.clock.Over)
		}
		s.clock.Paused = *paused
		if !*paused && !s.play.open {
			s.round() // what was commanded in the meantime takes effect
		}
	}
	s.keepRound()
	s.publishClock()
	s.poke()
	return nil
}

// maxSteps is how many rounds a step may be.
const maxSteps = 1000

// Step pauses the session and goes on by some rounds.
func (s *Session) Step(rounds int) error {
	if rounds < 1 || rounds > maxSteps {
		return fmt.Errorf("a step is 1 to %d rounds, not %d", maxSteps, rounds)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clock.Over != "" {
		return errors.New(s.clock.Over)
	}
	s.tick()
	s.clock.Paused = true
	for range rounds {
		if s.play.open {
			s.clock.Time = float64(s.play.cluster.RoundEnd())
		}
		s.round()
		if s.clock.Over != "" {
			break
		}
	}
	s.publishClock()
	return nil
}

// Back goes back to the moment after a number of rounds had begun, and forgets
// what came after it. What is forgotten is kept as a recording first.
func (s *Session) Back(rounds int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rounds < 1 || rounds > s.play.rounds {
		return fmt.Errorf("the session has rounds 1 to %d, not %d", s.play.rounds, rounds)
	}
	var before []Action
	for _, a := range s.play.actions {
		if a.Rounds < rounds {
			before = append(before, a)
		}
	}
	start := Files{}
	for name, data := range s.play.start {
		start[name] = data
	}
	start[fileCommands] = []byte("[]\n")
	s.clock.Paused = true
	return s.replace(start, before, rounds)
}

// Begin begins a new session with the files of a scenario, and lets it run.
func (s *Session) Begin(files Files) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock.Paused = false
	return s.replace(files, nil, 1)
}

// Load begins a new session with a scenario, plays it to its end, and pauses
// there.
func (s *Session) Load(files Files) error {
	delete(files, fileLog)
	rounds, err := roundsOf(files)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock.Paused = true
	return s.replace(files, nil, rounds)
}

// roundsOf plays a scenario to its end and returns how many rounds that takes.
func roundsOf(files Files) (int, error) {
	p, err := newPlay(files)
	if err != nil {
		return 0, err
	}
	for p.script && p.halted == "" && p.cluster.Now() < p.limit {
		if p.next() {
			break
		}
		p.frame()
	}
	return p.rounds, nil
}

func (s *Session) replace(files Files, actions []Action, rounds int) error {
	s.tick()
	if err := s.begin(files, actions, rounds); err != nil {
		return err
	}
	s.restart()
	s.poke()
	return nil
}

const archiveComment = "Recorded with pve-ha-simulator.\n"

// Recording returns the session until now as an archive.
func (s *Session) Recording() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tick()
	files, err := s.play.recording(s.epoch())
	if err != nil {
		return nil, err
	}
	return FormatArchive(archiveComment, files)
}

// Explain tells why a guest is where it is.
func (s *Session) Explain(sid ha.SID) (*crm.Explanation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.play.cluster.Explain(sid)
}

// Try returns the rules and groups as they would be after a change of them,
// with their conflicts, and changes nothing.
func (s *Session) Try(text string) (*ClusterView, error) {
	commands, err := parseCommands([]string{text})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rules, groups, err := s.play.cluster.TryConfig(commands[0])
	if err != nil {
		return nil, err
	}
	v := &ClusterView{}
	v.Rules, v.Groups, v.Problems = viewConfig(rules, groups, s.play.cluster.NodeNames())
	return v, nil
}

// MakeFolder makes a folder for a new session below parent and returns its
// path.
func MakeFolder(parent string, now time.Time) (string, error) {
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	return os.MkdirTemp(parent, now.Format("2006-01-02-")+"*")
}
