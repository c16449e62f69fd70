package daemon

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

const usageText = `USAGE: test-daemon <COMMAND> [ARGS] [OPTIONS]

       test-daemon help [<extra-args>] [OPTIONS]

       test-daemon start  [OPTIONS]
       test-daemon status 
       test-daemon stop 
`

func TestCommandLines(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		"nothing":         {nil, 255, "", "ERROR: no command specified\n" + usageText},
		"unknown":         {[]string{"levitate"}, 255, "", "ERROR: unknown command 'test-daemon levitate'\n" + usageText},
		"ambiguous":       {[]string{"sta"}, 255, "", "ERROR: unknown command 'test-daemon sta'\n" + usageText},
		"shortened":       {[]string{"statu"}, 0, "stopped\n", ""},
		"an argument":     {[]string{"status", "now"}, 255, "", "400 too many arguments\ntest-daemon status \n"},
		"an option":       {[]string{"stop", "--now=1"}, 255, "", "Unknown option: now\n400 unable to parse option\ntest-daemon stop \n"},
		"of start":        {[]string{"start", "--now"}, 255, "", "Unknown option: now\n400 unable to parse option\ntest-daemon start  [OPTIONS]\n"},
		"behind start":    {[]string{"start", "now"}, 255, "", "400 too many arguments\ntest-daemon start  [OPTIONS]\n"},
		"debug of what":   {[]string{"start", "--debug", "maybe"}, 255, "", "400 Parameter verification failed.\ndebug: type check ('boolean') failed - got 'maybe'\ntest-daemon start  [OPTIONS]\n"},
		"help":            {[]string{"help", "status"}, 0, "USAGE: test-daemon status \n\n  Get daemon status.\n\n", ""},
		"help on nothing": {[]string{"help", "fly"}, 255, "", "ERROR: unknown command 'fly'\n" + usageText},
		"an inner verb":   {[]string{"inner", "a", "b"}, 2, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out, diag bytes.Buffer
			m := testMachine()
			m.Stdout, m.Stderr, m.StartedByInit = &out, &diag, true
			require.Equal(t, test.code, testProgram(t.TempDir()).Main(m, test.args))
			require.Equal(t, test.stdout, out.String())
			require.Equal(t, test.stderr, diag.String())
		})
	}
}

func TestHelpTellsOfEveryCommand(t *testing.T) {
	var out bytes.Buffer
	m := testMachine()
	m.Stdout = &out
	require.Equal(t, 0, testProgram(t.TempDir()).Main(m, []string{"help", "--verbose"}))
	for _, name := range []string{"help", "start", "status", "stop"} {
		require.Contains(t, out.String(), "USAGE: test-daemon "+name+" ")
	}
}

func TestDebugOption(t *testing.T) {
	c := command{Program: testProgram(t.TempDir()), Machine: Machine{Stderr: &bytes.Buffer{}}}
	for want, lines := range map[bool][][]string{
		true:  {{"--debug"}, {"-debug"}, {"--debug", "1"}, {"--debug=true"}, {"--deb"}, {"--debug", "0", "--debug"}},
		false: {nil, {"--debug", "0"}, {"--debug=no"}, {"--debug", "--debug=off"}},
	} {
		for _, args := range lines {
			got, code := c.parseStart(args)
			require.Zero(t, code, args)
			require.Equal(t, want, got, args)
		}
	}
}
