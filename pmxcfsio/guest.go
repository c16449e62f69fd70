package pmxcfsio

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
)

// kvPrefix is before the names of what nodes publish for all.
const kvPrefix = "kv/"

// KV returns what a node published under a key, such as "static-info";
// [ErrAbsent] when it has not. No file offers it: without an answer of the IPC
// it is [ErrNoIPC].
func (f *FS) KV(ctx context.Context, node, key string) ([]byte, error) {
	name := kvPrefix + key
	value, err := f.ask(ctx, func(ctx context.Context) ([]byte, error) { return f.cfg.IPC.Status(ctx, node, name) })
	switch {
	case errors.Is(err, errUnanswered):
		return nil, &Error{Op: "ask " + node + " for", Name: name, Kind: ErrNoIPC, Err: err}
	case err != nil:
		return nil, failure("ask "+node+" for", name, err)
	}
	value, _, _ = bytes.Cut(value, []byte{0})
	return value, nil
}

// GuestProperties returns lines of the configurations of all guests, by ID and
// property. A guest that has none of them is missing.
func (f *FS) GuestProperties(ctx context.Context, properties []string) (map[uint32]map[string]string, error) {
	text, err := f.ask(ctx, func(ctx context.Context) ([]byte, error) { return f.cfg.IPC.GuestProperties(ctx, 0, properties) })
	if errors.Is(err, errUnanswered) {
		return f.readProperties(ctx, properties)
	}
	var all map[uint32]map[string]string
	if err == nil {
		err = decode(text, &all)
	}
	if err != nil {
		return nil, failure("ask for properties of", "all guests", err)
	}
	return all, nil
}

// readProperties reads every configuration through the mount.
func (f *FS) readProperties(ctx context.Context, properties []string) (map[uint32]map[string]string, error) {
	guests, err := f.Guests(ctx)
	if err != nil {
		return nil, err
	}
	all := map[uint32]map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(guests.ByID)) {
		g := guests.ByID[id]
		name := GuestFile(g.Node, g.Type, id)
		text, err := f.readMount(ctx, name)
		if isKind(err, ErrAbsent) {
			continue // moved or removed meanwhile
		}
		if err != nil {
			return nil, failure("read", name, err)
		}
		if found := parseProperties(string(text), properties); len(found) > 0 {
			all[id] = found
		}
	}
	return all, nil
}

// parseProperties looks for properties before the first section, as pmxcfs
// does: a line counts when it ends, and the last of several wins.
func parseProperties(text string, properties []string) map[string]string {
	const space = " \t\n\v\f\r"
	found := map[string]string{}
	for line := range strings.Lines(text) {
		line, whole := strings.CutSuffix(line, "\n")
		if !whole || strings.HasPrefix(line, "[") {
			break
		}
		key, value, ok := strings.Cut(line, ":")
		if ok && value != "" && slices.Contains(properties, key) {
			if value = strings.Trim(value, space); value != "" {
				found[key] = value
			}
		}
	}
	return found
}

// MoveGuest moves the configuration of a guest from one node to another, which
// any node may do. It is [ErrAbsent] when it is not there, or no more.
func (f *FS) MoveGuest(ctx context.Context, t GuestType, id uint32, from, to string) error {
	return f.Rename(ctx, GuestFile(from, t, id), GuestFile(to, t, id))
}
