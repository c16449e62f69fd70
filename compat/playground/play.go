package playground

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"strings"

	"pveha/compat/sim"
	"pveha/internal/ha"
)

// Action is what was done at one time: commands, after a number of rounds.
type Action struct {
	Rounds   int      `json:"rounds"` // that had begun
	At       ha.Epoch `json:"at"`
	Commands []string `json:"commands"`
}

// maxTime is how long a session may last, in simulated seconds: a week. It
// bounds what opening it again takes.
const maxTime = 7 * 24 * 3600

// play is a cluster in the course of a session. It knows no real time and no
// files.
type play struct {
	start   Files
	cluster *sim.Cluster
	rounds  int  // that have begun
	open    bool // the round that was begun last is not over
	began   ha.Epoch
	actions []Action
	history *history
	log     hash.Hash // of the log so far
	script  bool      // the start's own command list is not over
	ends    bool      // that list says when it ends
	limit   ha.Epoch  // the session ends then
	halted  string    // why the simulation cannot go on; "" while it can

	lines []sim.Line // since the last frame
	marks []Mark
}

// newPlay begins a session: the first round has begun, and nothing has
// happened yet.
func newPlay(start Files) (*play, error) {
	files := make(map[string][]byte, len(start)+1)
	for name, data := range start {
		files[name] = data
	}
	if _, ok := files[fileCommands]; !ok {
		files[fileCommands] = []byte("[]")
	}
	scenario, err := sim.Parse("session", files)
	if err != nil {
		return nil, err
	}
	p := &play{start: start, log: sha256.New(), script: len(scenario.Steps) > 0, ends: scenario.Ends(), limit: maxTime}
	p.cluster, err = sim.New(scenario, sim.Options{
		Log: p.log, OnLine: p.onLine, OnChange: p.onChange, OnExecute: p.onExecute, Endless: true,
	})
	if err != nil {
		return nil, err
	}
	p.cluster.Begin()
	p.begin()
	p.history = newHistory(p.frame())
	return p, nil
}

// begin begins a round.
func (p *play) begin() {
	p.rounds++
	p.open = true
	p.began = p.cluster.Now()
	if err := p.cluster.Round(); err != nil {
		p.halted = err.Error()
	}
}

// next ends the round, with what the start's own commands have planned, and
// begins another. It returns true when the plan says that this is the end.
func (p *play) next() (over bool) {
	if p.halted != "" || p.cluster.Now() >= p.limit {
		return true
	}
	if p.open {
		done, err := p.cluster.EndRound()
		p.open = false
		if err != nil {
			p.halted = err.Error()
			return true
		}
		over = done && p.script && p.ends
		p.script = p.script && !done
	}
	p.begin()
	return over || p.halted != ""
}

// execute carries out commands at a time within the round, and returns how
// many. Without any nothing has happened.
func (p *play) execute(at ha.Epoch, commands []sim.Command) (done int, err error) {
	if p.halted != "" {
		return 0, errors.New(p.halted)
	}
	if err := p.check(commands); err != nil {
		return 0, err
	}
	if p.open {
		p.cluster.CutRound(at)
		p.open = false
	}
	for _, cmd := range commands {
		if err := p.cluster.Check(cmd); err != nil {
			return done, err
		}
		done++
		if err := p.cluster.Execute(cmd, "cmdlist"); err != nil {
			p.halted = err.Error()
			return done, err
		}
	}
	return done, nil
}

// check checks commands as far as that is possible before the first of them is
// carried out: those on services that an earlier one adds are checked in turn.
func (p *play) check(commands []sim.Command) error {
	added := map[ha.SID]bool{}
	for _, cmd := range commands {
		if cmd.Verb == sim.VerbService && cmd.Action == "add" {
			if added[cmd.SID] {
				return fmt.Errorf("command %q: resource ID '%s' already defined", cmd.Text, cmd.SID)
			}
			added[cmd.SID] = true
		} else if cmd.Verb == sim.VerbService && added[cmd.SID] {
			continue
		}
		if err := p.cluster.Check(cmd); err != nil {
			return err
		}
	}
	return nil
}

// onExecute notes a command for the recording. Those of one moment stand
// together.
func (p *play) onExecute(cmd sim.Command) {
	p.marks = append(p.marks, Mark{At: p.cluster.Now(), Kind: MarkCommand, Text: cmd.Text})
	if n := len(p.actions); n > 0 && p.actions[n-1].Rounds == p.rounds {
		p.actions[n-1].Commands = append(p.actions[n-1].Commands, cmd.Text)
		return
	}
	p.actions = append(p.actions, Action{Rounds: p.rounds, At: p.cluster.Now(), Commands: []string{cmd.Text}})
}

// replay brings a session that has just begun to where it was: after rounds
// rounds, with the actions that the start's own commands do not hold.
func (p *play) replay(actions []Action, rounds int) error {
	for _, a := range actions {
		if err := p.forward(a.Rounds); err != nil {
			return err
		}
		commands, err := parseCommands(a.Commands)
		if err == nil {
			_, err = p.execute(a.At, commands)
		}
		if err == nil && p.cluster.Now() != a.At {
			err = fmt.Errorf("it is %d then", p.cluster.Now())
		}
		if err != nil {
			return fmt.Errorf("commands at %d after %d rounds: %w", a.At, a.Rounds, err)
		}
		p.history.add(p.frame())
	}
	return p.forward(rounds)
}

// forward goes on until a number of rounds have begun.
func (p *play) forward(rounds int) error {
	if rounds < p.rounds {
		return fmt.Errorf("round %d comes after round %d", rounds, p.rounds)
	}
	for p.rounds < rounds {
		before := p.rounds
		p.next()
		if p.rounds == before {
			return fmt.Errorf("round %d never comes: the simulation ends at %d with round %d", rounds, p.cluster.Now(), p.rounds)
		}
		p.history.add(p.frame())
	}
	return nil
}

// parseCommands reads commands and refuses those that only a scenario has.
func parseCommands(texts []string) ([]sim.Command, error) {
	if len(texts) == 0 {
		return nil, errors.New("no command given")
	}
	commands := make([]sim.Command, 0, len(texts))
	for _, text := range texts {
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, fmt.Errorf("command %q holds control characters", text)
		}
		cmd, err := sim.ParseCommand(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		commands = append(commands, cmd)
	}
	return commands, nil
}

// recording returns the session until now as a scenario with its log, and
// makes sure that it repeats.
func (p *play) recording(now ha.Epoch) (Files, error) {
	if p.halted != "" {
		return nil, fmt.Errorf("the simulation cannot go on (%s): go back before recording it", p.halted)
	}
	now = min(max(now, p.cluster.Now()), p.cluster.RoundEnd())
	if !p.open {
		now = p.cluster.Now()
	}
	files := Files{}
	for name, data := range p.start {
		files[name] = data
	}
	delete(files, fileLog)
	commands, err := encodeFiles(map[string]any{fileCommands: p.steps(now)})
	if err != nil {
		return nil, err
	}
	files[fileCommands] = commands[fileCommands]
	scenario, err := sim.Parse("recording", files)
	if err != nil {
		return nil, err
	}
	var log bytes.Buffer
	again, err := sim.New(scenario, sim.Options{Log: &log})
	if err != nil {
		return nil, err
	}
	if err := again.Run(); err != nil {
		return nil, err
	}
	ours := log.Bytes()[:bytes.LastIndexByte(bytes.TrimSuffix(log.Bytes(), []byte("\n")), '\n')+1]
	if sum := sha256.Sum256(ours); !bytes.Equal(sum[:], p.log.Sum(nil)) {
		return nil, errors.New("the recording does not repeat what happened; please report this with the session's folder")
	}
	files[fileLog] = log.Bytes()
	return files, nil
}

// steps is the command list of a recording that ends now.
func (p *play) steps(now ha.Epoch) [][]string {
	steps := [][]string{}
	for _, a := range p.actions {
		steps = append(steps, append([]string{fmt.Sprintf("%s %d", sim.VerbAt, a.At)}, a.Commands...))
	}
	if n := len(p.actions); n > 0 && p.actions[n-1].Rounds == p.rounds {
		steps[n-1] = append(steps[n-1], string(sim.VerbEnd))
		return steps
	}
	return append(steps, []string{fmt.Sprintf("%s %d", sim.VerbAt, now), string(sim.VerbEnd)})
}
