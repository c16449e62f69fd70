package agent

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"pveha/internal/ha"
	"pveha/internal/process"
)

// taskNews is how often the log says that a task still runs: the original's.
const taskNews = 5 * time.Second

// upid is the unique name of a task; in it the process and when that started.
var upid = regexp.MustCompile(`^UPID:[^:\s]+:([0-9A-Fa-f]{8}):([0-9A-Fa-f]{8,9}):[0-9A-Fa-f]{8}:`)

// followTask waits until a task on this machine has ended.
func (a *Agent) followTask(sid ha.SID, task string) error {
	m := upid.FindStringSubmatch(task)
	if m == nil {
		return fmt.Errorf("unable to parse worker upid '%s'", task)
	}
	pid, err := strconv.ParseInt(m[1], 16, 32)
	if err != nil {
		return fmt.Errorf("unable to parse worker upid '%s': %w", task, err)
	}
	start, err := strconv.ParseUint(m[2], 16, 64)
	if err != nil {
		return fmt.Errorf("unable to parse worker upid '%s': %w", task, err)
	}
	processes := process.Table{Root: a.cfg.Paths.Proc}
	news := time.NewTicker(taskNews)
	defer news.Stop()
	look := time.NewTicker(taskNews / 50)
	defer look.Stop()
	for {
		state, err := processes.State(int(pid))
		if err != nil {
			return fmt.Errorf("waiting for task '%s': %w", task, err)
		}
		if !state.Alive || state.Start != start {
			return nil
		}
		select {
		case <-news.C:
			a.log(ha.LevelInfo, sid, "Task '%s' still active, waiting", task)
		case <-look.C:
		}
	}
}
