package watchdog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"
)

// DefaultModule is loaded where the configuration names none.
const DefaultModule = "softdog"

// ConfigFile is where an administrator names the module.
const ConfigFile = "/etc/default/pve-ha-manager"

// ModuleVariable names the module in ConfigFile and in the environment.
const ModuleVariable = "WATCHDOG_MODULE"

// Times of waiting for the device after the module was loaded. Drivers may
// look for their hardware in the background; a second is usual, and a device
// that is not there after ten will not come.
const (
	appearTimeout = 10 * time.Second
	appearPoll    = 100 * time.Millisecond
)

// Loader makes sure that there is a device.
type Loader struct {
	Path   string // of the device
	Module string // name, and options behind it, separated by blanks; empty for DefaultModule
	Log    func(text string)

	Run   func(name string, args ...string) error // runs a program, nil for the real thing
	Sleep func(time.Duration)                     // nil for the real thing
}

// Load loads the module when the device does not exist, and waits until it
// does. A module that does not load is an error only if no device appears.
func (l Loader) Load() error {
	if l.Run == nil {
		l.Run = func(name string, args ...string) error { return exec.Command(name, args...).Run() }
	}
	if l.Sleep == nil {
		l.Sleep = time.Sleep
	}
	if _, err := os.Stat(l.Path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	words := strings.Fields(l.Module)
	if len(words) == 0 {
		words = []string{DefaultModule}
	} else {
		l.Log(fmt.Sprintf("Loading watchdog module '%s'", l.Module))
	}
	loadErr := l.Run("modprobe", append([]string{"-q"}, words...)...)
	if loadErr != nil {
		l.Log(fmt.Sprintf("modprobe -q %s failed: %v", strings.Join(words, " "), loadErr))
	}
	for waited := time.Duration(0); ; waited += appearPoll {
		_, err := os.Stat(l.Path)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// Without the module nothing will appear.
		if loadErr != nil || waited >= appearTimeout {
			return fmt.Errorf("%s does not exist after modprobe -q %s: set %s in %s to the driver of this machine's watchdog",
				l.Path, strings.Join(words, " "), ModuleVariable, ConfigFile)
		}
		l.Sleep(appearPoll)
	}
}

// ConfiguredModule returns the module that is to be loaded: from the
// environment, where systemd puts the variables of ConfigFile, otherwise from
// the file at the path. Neither names one: empty.
func ConfiguredModule(getenv func(string) string, path string) (string, error) {
	if module := getenv(ModuleVariable); module != "" {
		return module, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	module := ""
	for line := range strings.Lines(string(data)) {
		key, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if found && key == ModuleVariable { // a comment has another key
			module = unquote(strings.TrimSpace(value))
		}
	}
	return module, nil
}

// unquote takes one pair of quotes off, as systemd and the shell do.
func unquote(value string) string {
	for _, quote := range []string{`"`, `'`} {
		if inner, ok := strings.CutPrefix(value, quote); ok && strings.HasSuffix(inner, quote) {
			return strings.TrimSuffix(inner, quote)
		}
	}
	return value
}
