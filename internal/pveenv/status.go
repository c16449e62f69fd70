package pveenv

import (
	"errors"
	"sync"
	"time"

	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// A file of the cluster file system is empty for a moment while another node
// replaces it without a rename. So an empty status is read again before it is
// believed.
const (
	emptyRereads = 3
	emptyPause   = 10 * time.Millisecond
)

// cached is a file that is parsed anew only when its content has changed. What
// it returns is shared.
type cached[T any] struct {
	mu    sync.Mutex
	known bool
	raw   string
	value T
}

// parsed returns the value of raw, which parse works out if raw is new. What
// cannot be parsed is not kept.
func (c *cached[T]) parsed(raw []byte, parse func([]byte) (T, error)) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known && c.raw == string(raw) {
		return c.value, nil
	}
	value, err := parse(raw)
	if err != nil {
		var none T
		return none, err
	}
	c.known, c.raw, c.value = true, string(raw), value
	return value, nil
}

// read returns the content of a file, nil when there is none.
func (n *node) read(name string) ([]byte, error) {
	raw, err := n.fs.Read(n.ctx, name)
	if errors.Is(err, pmxcfsio.ErrAbsent) {
		return nil, nil
	}
	if err == nil && raw == nil {
		raw = []byte{}
	}
	return raw, err
}

// readStatus returns the content of a status file, nothing when there is none
// or when it stays empty.
func (n *node) readStatus(name string) ([]byte, error) {
	for try := 0; ; try++ {
		raw, err := n.read(name)
		if err != nil || raw == nil || len(raw) > 0 || try == emptyRereads {
			return raw, err
		}
		if err := n.clock.Sleep(n.ctx, emptyPause); err != nil {
			return nil, err
		}
	}
}

// ReadManagerStatus returns an empty status when none was written yet.
func (n *node) ReadManagerStatus() (*ha.ManagerStatus, error) {
	raw, err := n.readStatus(pmxcfsio.ManagerStatusFile)
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 {
		return &ha.ManagerStatus{}, nil
	}
	return n.managerStatus.parsed(raw, parseManagerStatus)
}

func parseManagerStatus(raw []byte) (*ha.ManagerStatus, error) {
	return ha.ParseManagerStatus(pmxcfsio.ManagerStatusFile, raw)
}

// WriteManagerStatus replaces the status as a whole.
func (c *CRM) WriteManagerStatus(s *ha.ManagerStatus) error {
	return c.fs.Write(c.ctx, pmxcfsio.ManagerStatusFile, s.Encode())
}

// ReadLRMStatus returns an empty status when the node wrote none yet.
func (c *CRM) ReadLRMStatus(node string) (*ha.LRMStatus, error) {
	name := pmxcfsio.LRMStatusFile(node)
	raw, err := c.readStatus(name)
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 {
		return &ha.LRMStatus{}, nil
	}
	if c.lrm[node] == nil {
		c.lrm[node] = &cached[*ha.LRMStatus]{}
	}
	return c.lrm[node].parsed(raw, func(raw []byte) (*ha.LRMStatus, error) {
		return ha.ParseLRMStatus(name, raw)
	})
}

// WriteLRMStatus replaces the status of the local node as a whole. The results
// of workers that are in it need not be kept elsewhere any more.
func (l *LRM) WriteLRMStatus(s *ha.LRMStatus) error {
	if err := l.fs.Write(l.ctx, pmxcfsio.LRMStatusFile(l.cfg.Node), s.Encode()); err != nil {
		return err
	}
	if l.unsaved {
		l.unsaved = false
		if err := l.workers.Acknowledge(); err != nil {
			// They come again when the daemon is started the next time.
			l.log(ha.LevelWarning, "unable to clear results of workers - %v", err)
		}
	}
	return nil
}
