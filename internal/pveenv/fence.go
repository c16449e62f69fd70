package pveenv

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"pveha/internal/ha"
)

// fenceGrace is how long a daemon that ends waits for the disk.
const fenceGrace = 2 * time.Second

// bootIDFile names the run of the machine.
const bootIDFile = "/proc/sys/kernel/random/boot_id"

// fenceRecord is what a daemon knew when the machine was reset. It is on the
// local disk from the moment a watchdog is active, and gone as soon as the
// watchdog is closed: what a daemon finds of an earlier run of the machine tells
// of a reset, or of a loss of power.
type fenceRecord struct {
	Boot  string    `json:"boot"`  // the run of the machine
	Armed time.Time `json:"armed"` // since when a watchdog was active
	// What was wrong, zero and empty where nothing was.
	QuorumLost time.Time            `json:"quorum_lost,omitzero"`
	FilesLost  time.Time            `json:"files_lost,omitzero"`
	LockLost   time.Time            `json:"lock_lost,omitzero"`
	Lock       string               `json:"lock,omitempty"`
	LinksDown  map[string]time.Time `json:"links_down,omitempty"` // zero time: not known since when
	Watchdog   string               `json:"watchdog,omitempty"`   // error of the last update
	Fed        time.Time            `json:"fed,omitzero"`         // the last update that succeeded, as of this record
}

// fenceKeeper keeps the record of one daemon. Nothing waits for the disk: what
// has to be written is written beside the round, within a moment; a watchdog
// takes a minute to fire.
type fenceKeeper struct {
	path  string
	now   func() time.Time
	log   func(ha.Entry)
	links func() map[string]time.Time

	mu      sync.Mutex
	record  fenceRecord
	active  bool // a watchdog is
	dirty   bool
	writing bool
	idle    *sync.Cond
	hurry   bool   // nobody waits any longer
	said    string // error of the last write, so that it is said once
}

func newFenceKeeper(cfg Config, daemon string, links func() map[string]time.Time) *fenceKeeper {
	k := &fenceKeeper{
		path:  filepath.Join(cfg.StateDir, daemon+"-fence.json"),
		now:   cfg.Clock.Now,
		log:   cfg.Log,
		links: links,
	}
	k.idle = sync.NewCond(&k.mu)
	if id, err := os.ReadFile(bootIDFile); err == nil {
		k.record.Boot = strings.TrimSpace(string(id))
	}
	return k
}

// report tells of the reset that an earlier run of the machine ended with, if
// it did. The record is kept under another name.
func (k *fenceKeeper) report() {
	raw, err := os.ReadFile(k.path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			k.warn("the reason of the last reset cannot be read - %v", err)
		}
		return
	}
	var old fenceRecord
	switch err := json.Unmarshal(raw, &old); {
	case err != nil:
		k.warn("the reason of the last reset cannot be read - %s: %v", k.path, err)
	case old.Boot == k.record.Boot:
		return // the daemon alone was restarted
	default:
		k.warn("this node went down while its watchdog was active: %s", old.text())
	}
	if err := os.Rename(k.path, strings.TrimSuffix(k.path, ".json")+"-last.json"); err != nil {
		k.warn("%v", err)
	}
}

// text says in a line what was known.
func (r *fenceRecord) text() string {
	var parts []string
	add := func(t time.Time, format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		if !t.IsZero() {
			text += " at " + t.Format(time.DateTime)
		}
		parts = append(parts, text)
	}
	for _, name := range sortedKeys(r.LinksDown) {
		add(r.LinksDown[name], "network link '%s' down", name)
	}
	if !r.FilesLost.IsZero() {
		add(r.FilesLost, "cluster file system lost")
	}
	if !r.QuorumLost.IsZero() {
		add(r.QuorumLost, "quorum lost")
	}
	if !r.LockLost.IsZero() {
		add(r.LockLost, "lock '%s' lost", r.Lock)
	}
	if r.Watchdog != "" {
		add(time.Time{}, "%s", r.Watchdog)
	}
	if len(parts) > 0 && !r.Fed.IsZero() {
		add(r.Fed, "watchdog last updated")
	}
	if len(parts) == 0 {
		return "nothing was wrong that the daemon knew of (power lost, or the daemon died or hung)"
	}
	return strings.Join(parts, ", ")
}

// armed is called when a watchdog becomes active, and when it was closed.
func (k *fenceKeeper) armed(on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.active = on
	if on {
		k.record.Armed = k.now()
	}
	k.store()
}

// lock is called after every try for the lock that the watchdog protects.
func (k *fenceKeeper) lock(name string, held, got bool) {
	k.update(func(r *fenceRecord) {
		switch {
		case got:
			r.Lock, r.LockLost = "", time.Time{}
		case held:
			r.Lock, r.LockLost = name, k.now()
		}
	})
}

// quorum is called whenever the quorum is known.
func (k *fenceKeeper) quorum(has bool) {
	k.update(func(r *fenceRecord) { r.QuorumLost = k.since(r.QuorumLost, !has) })
}

// files is called whenever it is known whether the cluster file system is
// there.
func (k *fenceKeeper) files(there bool) {
	k.update(func(r *fenceRecord) { r.FilesLost = k.since(r.FilesLost, !there) })
}

// watchdog is called with the outcome of every update.
func (k *fenceKeeper) watchdog(err error) {
	k.update(func(r *fenceRecord) {
		if r.Watchdog = ""; err != nil {
			r.Watchdog = err.Error()
		} else {
			r.Fed = k.now()
		}
	})
}

// since returns since when something has been wrong.
func (k *fenceKeeper) since(before time.Time, wrong bool) time.Time {
	switch {
	case !wrong:
		return time.Time{}
	case before.IsZero():
		return k.now()
	}
	return before
}

// update changes the record, and stores it if that makes a difference.
func (k *fenceKeeper) update(change func(*fenceRecord)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.record
	change(&k.record)
	after := k.record
	before.LinksDown, after.LinksDown = nil, nil
	if !sameRecord(before, after) {
		k.store()
	}
}

func sameRecord(a, b fenceRecord) bool {
	return a.QuorumLost.Equal(b.QuorumLost) && a.FilesLost.Equal(b.FilesLost) && a.LockLost.Equal(b.LockLost) &&
		a.Lock == b.Lock && a.Watchdog == b.Watchdog
}

// linksChanged is called when a link was lost or came back.
func (k *fenceKeeper) linksChanged() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.store()
}

// store has the record written while a watchdog is active, and removed
// otherwise. It is called with mu held.
func (k *fenceKeeper) store() {
	if !k.active && k.record.Armed.IsZero() {
		return // there is none
	}
	k.dirty = true
	if !k.writing {
		k.writing = true
		go k.write()
	}
}

func (k *fenceKeeper) write() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.dirty {
		k.dirty = false
		record, active := k.record, k.active
		if !active {
			k.record.Armed = time.Time{}
		}
		k.mu.Unlock()
		record.LinksDown = k.links()
		err := k.put(record, active)
		k.mu.Lock()
		k.say(err)
	}
	k.writing = false
	k.idle.Broadcast()
}

// put brings the record to the disk, or removes it.
func (k *fenceKeeper) put(record fenceRecord, active bool) error {
	if !active {
		if err := os.Remove(k.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return writeSynced(k.path, append(text, '\n'))
}

// say logs an error of the disk, once.
func (k *fenceKeeper) say(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != k.said && text != "" {
		k.warn("the reason of a reset would not be known: %s", text)
	}
	k.said = text
}

func (k *fenceKeeper) warn(format string, args ...any) {
	k.log(ha.Entry{Level: ha.LevelWarning, Text: fmt.Sprintf(format, args...)})
}

// wait waits until everything is written, for as long as the limit at most.
func (k *fenceKeeper) wait(limit time.Duration) {
	timer := time.AfterFunc(limit, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.hurry = true
		k.idle.Broadcast()
	})
	defer timer.Stop()
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.writing && !k.hurry {
		k.idle.Wait()
	}
}

// writeSynced replaces a file so that the new content survives a reset from
// here on.
func writeSynced(path string, data []byte) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	tmp := path + ".tmp"
	file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if _, err = file.Write(data); err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
