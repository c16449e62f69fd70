package watchdog

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// className returns the name that the watchdog class has for a device: the
// path without a number is an alias of the first one.
func className(path string) string {
	name := filepath.Base(path)
	if name == "watchdog" {
		return "watchdog0"
	}
	return name
}

// noWayOut asks sysfs, which not every kernel offers. An answer about a driver
// of another name does not count.
func noWayOut(config Config, identity string) Answer {
	read := func(attribute string) string {
		data, err := os.ReadFile(filepath.Join(config.Sysfs, className(config.Path), attribute))
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(data))
	}
	if read("identity") != strings.TrimSpace(identity) {
		return Unknown
	}
	switch read("nowayout") {
	case "1":
		return Yes
	case "0":
		return No
	default:
		return Unknown
	}
}

// Holder is a process that has a watchdog device open.
type Holder struct {
	PID  int
	Name string
}

// String names the process as messages do.
func (h Holder) String() string { return fmt.Sprintf("%s (PID %d)", h.Name, h.PID) }

// Holders finds the processes that have the device open, by whichever of its
// names, in the order of their PIDs.
func Holders(config Config) []Holder {
	config = config.withDefaults()
	names := []string{config.Path, filepath.Join(filepath.Dir(config.Path), className(config.Path))}
	if className(config.Path) == "watchdog0" {
		names = append(names, filepath.Join(filepath.Dir(config.Path), "watchdog"))
	}
	// The folder vanishes with its process: what cannot be read is gone.
	links, _ := filepath.Glob(filepath.Join(config.Proc, "[0-9]*", "fd", "*"))
	var holders []Holder
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !slices.Contains(names, target) {
			continue
		}
		folder := filepath.Dir(filepath.Dir(link))
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			continue
		}
		name := "unknown"
		if data, err := os.ReadFile(filepath.Join(folder, "comm")); err == nil {
			name = strings.TrimSpace(string(data))
		}
		if h := (Holder{PID: pid, Name: name}); !slices.Contains(holders, h) {
			holders = append(holders, h)
		}
	}
	slices.SortFunc(holders, func(a, b Holder) int { return cmp.Compare(a.PID, b.PID) })
	return holders
}
