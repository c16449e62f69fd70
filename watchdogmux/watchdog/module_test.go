package watchdog

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLoadFindsOrMakesTheDevice(t *testing.T) {
	for name, test := range map[string]struct {
		exists  bool
		module  string
		fails   bool // modprobe
		appears time.Duration
		want    []string // what was run, and said
		problem string
	}{
		"it is there":   {exists: true},
		"the default":   {want: []string{"modprobe -q softdog"}},
		"a module":      {module: "ipmi_watchdog", want: []string{"Loading watchdog module 'ipmi_watchdog'", "modprobe -q ipmi_watchdog"}},
		"with options":  {module: "softdog soft_noboot=1", want: []string{"Loading watchdog module 'softdog soft_noboot=1'", "modprobe -q softdog soft_noboot=1"}},
		"it takes time": {appears: 3 * time.Second, want: []string{"modprobe -q softdog"}},
		"it takes too long": {
			appears: time.Hour, want: []string{"modprobe -q softdog"},
			problem: "does not exist after modprobe -q softdog: set WATCHDOG_MODULE in /etc/default/pve-ha-manager to the driver of this machine's watchdog",
		},
		"no such module": {
			module: "nodog", fails: true, appears: time.Second,
			want:    []string{"Loading watchdog module 'nodog'", "modprobe -q nodog", "modprobe -q nodog failed: exit status 1"},
			problem: "does not exist after modprobe -q nodog",
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "watchdog")
			create := func() { require.NoError(t, os.WriteFile(path, nil, 0o600)) }
			if test.exists {
				create()
			}
			var got []string
			waited := time.Duration(0)
			err := Loader{
				Path: path, Module: test.module,
				Log: func(text string) { got = append(got, text) },
				Run: func(name string, args ...string) error {
					for _, a := range args {
						name += " " + a
					}
					got = append(got, name)
					if test.fails {
						return errors.New("exit status 1")
					}
					if test.appears == 0 {
						create()
					}
					return nil
				},
				Sleep: func(d time.Duration) {
					if waited += d; waited >= test.appears {
						create()
					}
				},
			}.Load()
			require.Equal(t, test.want, got)
			if test.problem == "" {
				require.NoError(t, err)
				require.Less(t, waited, test.appears+time.Second)
			} else {
				require.ErrorContains(t, err, test.problem)
				require.LessOrEqual(t, waited, appearTimeout)
			}
		})
	}
}

func TestLoadRunsARealProgram(t *testing.T) {
	err := Loader{Path: filepath.Join(t.TempDir(), "watchdog"), Module: "no-such-watchdog-driver", Log: func(string) {}}.Load()
	require.ErrorContains(t, err, "does not exist after modprobe -q no-such-watchdog-driver")
}

func TestConfiguredModule(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pve-ha-manager")
	environment := func(value string) func(string) string {
		return func(key string) string {
			require.Equal(t, ModuleVariable, key)
			return value
		}
	}
	got, err := ConfiguredModule(environment(""), path)
	require.NoError(t, err)
	require.Empty(t, got, "no file")

	for text, want := range map[string]string{
		"# select watchdog module (default is softdog)\n#WATCHDOG_MODULE=ipmi_watchdog": "",
		"WATCHDOG_MODULE=ipmi_watchdog\n":                                               "ipmi_watchdog",
		"WATCHDOG_MODULE=\"iTCO_wdt nowayout=1\"\n":                                     "iTCO_wdt nowayout=1",
		"OTHER=x\n WATCHDOG_MODULE='a'\nOTHER=y":                                        "a",
		"WATCHDOG_MODULE=first\nWATCHDOG_MODULE=second ":                                "second",
		"WATCHDOG_MODULE_OTHER=x\n":                                                     "",
		"WATCHDOG_MODULE=\"half\n":                                                      "\"half",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		got, err := ConfiguredModule(environment(""), path)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
	got, err = ConfiguredModule(environment("from_systemd"), path)
	require.NoError(t, err)
	require.Equal(t, "from_systemd", got)

	_, err = ConfiguredModule(environment(""), t.TempDir())
	require.Error(t, err, "a folder in place of the file")
}
