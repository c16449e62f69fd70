package agent

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"pveha/internal/ha"
)

const (
	// emptyLook is how often a container whose control group is empty is looked
	// at. Its monitor cleans up behind it, and as long as that is there the
	// container cannot be started again.
	emptyLook = 100 * time.Millisecond
	// emptyWait is how long that goes on. A container whose monitor hangs is
	// left to those who ask now and then.
	emptyWait = time.Minute
)

// groups watches the control groups of containers.
type groups struct {
	paths Paths
	ended func(ha.SID) // the container is gone
	lost  func(ha.SID) // its end would not be noticed any more
	files *fsnotify.Watcher
	loops sync.WaitGroup

	mu       sync.Mutex
	guests   map[string]ha.SID // by the file that tells of it
	emptying map[ha.SID]time.Time
	tick     *time.Ticker // stopped while nothing is emptying
}

func watchGroups(paths Paths, ended, lost func(ha.SID)) (*groups, error) {
	files, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	g := &groups{
		paths: paths, ended: ended, lost: lost, files: files,
		guests: map[string]ha.SID{}, emptying: map[ha.SID]time.Time{},
		tick: time.NewTicker(emptyLook),
	}
	g.tick.Stop()
	g.loops.Go(g.loop)
	return g, nil
}

// eventsFile is where a container's control group tells whether it has
// processes.
func (g *groups) eventsFile(sid ha.SID) string {
	return filepath.Join(g.paths.Cgroup, "lxc", sid.Name(), "cgroup.events")
}

// Add watches a container.
func (g *groups) Add(sid ha.SID) error {
	file := g.eventsFile(sid)
	g.mu.Lock()
	g.guests[file] = sid
	g.mu.Unlock()
	if err := g.files.Add(file); err != nil {
		g.Remove(sid)
		return err
	}
	g.look(file) // it may have ended before there was a watch
	return nil
}

// Remove ends the watching of a container, watched or not.
func (g *groups) Remove(sid ha.SID) {
	file := g.eventsFile(sid)
	g.mu.Lock()
	delete(g.guests, file)
	delete(g.emptying, sid)
	g.mu.Unlock()
	// A file that is gone has no watch any more.
	_ = g.files.Remove(file)
}

// Close ends all watching.
func (g *groups) Close() error {
	err := g.files.Close()
	g.loops.Wait()
	g.tick.Stop()
	return err
}

func (g *groups) loop() {
	for {
		select {
		case event, open := <-g.files.Events:
			if !open {
				return
			}
			g.look(event.Name)
		case _, open := <-g.files.Errors:
			if !open {
				return
			}
			g.lookAtAll() // events may be lost
		case <-g.tick.C:
			g.lookAtEmptying()
		}
	}
}

// look takes note of a control group that has become empty or is gone.
func (g *groups) look(file string) {
	populated, err := populated(file)
	if populated || err != nil && !errors.Is(err, os.ErrNotExist) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	sid, ok := g.guests[file]
	if !ok {
		return
	}
	if _, known := g.emptying[sid]; !known {
		g.emptying[sid] = time.Now()
		g.tick.Reset(emptyLook)
	}
}

func (g *groups) lookAtAll() {
	g.mu.Lock()
	var files []string
	for file := range g.guests {
		files = append(files, file)
	}
	g.mu.Unlock()
	for _, file := range files {
		g.look(file)
	}
}

// lookAtEmptying decides about containers whose control groups were empty.
func (g *groups) lookAtEmptying() {
	g.mu.Lock()
	emptying := make(map[ha.SID]time.Time, len(g.emptying))
	for sid, since := range g.emptying {
		emptying[sid] = since
	}
	g.mu.Unlock()
	for sid, since := range emptying {
		switch runs, err := g.paths.containerRuns(sid); {
		case err == nil && !runs:
			g.Remove(sid)
			g.ended(sid)
		case time.Since(since) > emptyWait:
			g.Remove(sid)
			g.lost(sid)
		case err == nil:
			g.lookAgain(sid)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.emptying) == 0 {
		g.tick.Stop()
	}
}

// lookAgain finds out whether a container has been started again by its
// monitor, in the same control group or a new one in its place.
func (g *groups) lookAgain(sid ha.SID) {
	file := g.eventsFile(sid)
	if again, err := populated(file); err != nil || !again || g.files.Add(file) != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.emptying, sid)
}

// populated reads whether a control group has processes.
func populated(file string) (bool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		switch lines.Text() {
		case "populated 1":
			return true, nil
		case "populated 0":
			return false, nil
		}
	}
	return false, errors.New(file + " does not tell whether it is populated")
}
