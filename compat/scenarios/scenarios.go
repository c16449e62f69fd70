// Package scenarios plays recorded scenarios on the simulated cluster and
// compares the logs with those of the Perl stack.
package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"pveha/compat/sim"
	"pveha/internal/corpus"
)

// Expectation is the file of a scenario that holds the recorded log.
const Expectation = "log.expect"

// Play plays one scenario as the Perl stack would and writes its log to out. An error in the scenario
// itself is an [InputError]; any other is one of the simulation, and the log
// tells it too.
func Play(c corpus.Case, out io.Writer, opts sim.Options) error {
	s, err := sim.Parse(c.Name, c.Files)
	if err != nil {
		return &InputError{Path: c.Path, Err: err}
	}
	opts.Log, opts.Slips = out, true
	cluster, err := sim.New(s, opts)
	if err != nil {
		return &InputError{Path: c.Path, Err: err}
	}
	return cluster.Run()
}

// InputError is a scenario that cannot be played.
type InputError struct {
	Path string
	Err  error
}

func (e *InputError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the scenario.
func (e *InputError) Unwrap() error { return e.Err }

// Check plays every scenario found in paths, writes a unified diff of each log
// that differs from the recorded one to out, and counts. Logs are equal byte
// for byte, but for the order of lines that is an accident of the recording. An error is one of
// the paths, or that there is no scenario in them.
func Check(paths []string, out io.Writer, opts sim.Options) (passed, failed int, err error) {
	cases, err := corpus.Walk(paths...)
	if err != nil {
		return 0, 0, err
	}
	for _, report := range checkAll(cases, opts) {
		if report == "" {
			passed++
			continue
		}
		failed++
		if _, err := io.WriteString(out, report); err != nil {
			return passed, failed, err
		}
	}
	return passed, failed, nil
}

// checkAll checks the cases side by side and returns the reports in their
// order.
func checkAll(cases []corpus.Case, opts sim.Options) []string {
	reports := make([]string, len(cases))
	parallel(len(cases), func(i int) { reports[i] = check(cases[i], opts) })
	return reports
}

// parallel calls work for every number below n, on all cores.
func parallel(n int, work func(i int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				work(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
}

// check returns how the log of a case differs, "" when it does not.
func check(c corpus.Case, opts sim.Options) string {
	want, ok := c.Files[Expectation]
	if !ok {
		return fmt.Sprintf("%s: no %s to compare with\n", c.Path, Expectation)
	}
	var got bytes.Buffer
	err := Play(c, &got, opts)
	var input *InputError
	if errors.As(err, &input) {
		return err.Error() + "\n"
	}
	if bytes.Equal(withoutAccidents(want), withoutAccidents(got.Bytes())) {
		return ""
	}
	return corpus.Diff(c.Path+"/"+Expectation, c.Path+"/log", want, got.Bytes())
}
