package pveha_test

// A pattern names packages by their folder from the root, or by their import
// path where they are not ours. "*" stands for one element, "/..." at the end
// for everything below as well, "..." alone for every package.
type pattern string

// level is one floor of the house. A package imports packages of lower floors
// only; its tests may import what they like.
type level struct {
	packages []pattern
	why      string
}

// levels are the floors from the ground up.
var levels = []level{
	{
		packages: []pattern{"internal/ha", "internal/budget", "internal/corpus", "pmxcfsio/ipcc/qb", "compat/cfsemu/nsthread"},
		why:      "names, values, recorded cases, a transport: no decision, nothing to depend on",
	},
	{
		packages: []pattern{"cfgparse", "pmxcfsio/ipcc", "internal/daemon", "internal/process", "internal/golden"},
		why:      "syntax, one protocol and the process shell know nothing of HA's rules",
	},
	{
		packages: []pattern{"cfgparse/hacfg", "crm/usage/topsis", "watchdogmux/watchdog", "watchdogmux/wdclient", "pmxcfsio"},
		why:      "one format, one formula, one device or one file system each",
	},
	{
		packages: []pattern{"crm/rules", "crm/usage", "crm/nodestate", "lrm/agent", "watchdogmux"},
		why:      "the parts a daemon is made of, each usable and testable without the others",
	},
	{
		packages: []pattern{"crm", "lrm"},
		why:      "the daemons' decisions, which declare the environment they need",
	},
	{
		packages: []pattern{"internal/envtest", "internal/worker", "hactl/whatif"},
		why:      "the contract of the environments the daemons declare, the processes that carry out orders, and the question what would be",
	},
	{
		packages: []pattern{"hactl", "internal/pveenv", "compat/sim", "compat/cfsemu"},
		why:      "the command line and the environments, real and simulated, know the daemons and not each other",
	},
	{
		packages: []pattern{"compat/formats", "compat/scenarios", "compat/demo", "packaging/handover", "compat/playground", "compat/cfsemu/fusemount", "compat/cfsemu/ipcserve"},
		why:      "what the tester and the simulator do, on top of the parts they compare and the simulated cluster; the faces of the emulated pmxcfs, and the change from one stack to the other",
	},
	{
		packages: []pattern{"compat/cli", "compat/cfsemu/console", "compat/e2e/bed"},
		why:      "what needs emulated nodes that processes can see",
	},
	{
		packages: []pattern{"*/cmd/*", "compat", "compat/e2e", "fuzz", "packaging", "watchdogmux/vmtest", "."},
		why:      "commands, and tests of the whole, put everything together",
	},
}

// ban forbids imports, straight or through other packages of the module.
type ban struct {
	from   []pattern
	except []pattern // of from
	to     []pattern
	tests  bool // holds for test files as well
	why    string
}

var commands = []pattern{"*/cmd/..."}

var bans = []ban{
	{
		from: []pattern{"crm/..."}, except: commands, to: []pattern{"lrm/..."},
		why: "the CRM and the LRM meet in status files alone, on nodes of different versions too",
	},
	{
		from: []pattern{"lrm/..."}, except: commands, to: []pattern{"crm/..."},
		why: "the CRM and the LRM meet in status files alone, on nodes of different versions too",
	},
	{
		from: []pattern{"crm/...", "lrm/..."}, except: commands,
		to:  []pattern{"pmxcfsio/...", "watchdogmux/..."},
		why: "the daemons see the cluster file system and the watchdog through the environment they declare, so that the simulator runs the same code",
	},
	{
		from: []pattern{"crm/...", "lrm/..."}, except: append([]pattern{"lrm/agent"}, commands...),
		to:  []pattern{"os/...", "net/...", "syscall/...", "golang.org/x/sys/..."},
		why: "the daemons touch the machine through the environment they declare, so that a run can be replayed; the guests themselves are the agent's, under injected roots",
	},
	{
		from: []pattern{"internal/ha"}, to: []pattern{"os/...", "net/...", "syscall/...", "*.*/..."},
		why: "the vocabulary is values and text: the standard library without the machine is enough",
	},
	{
		from: []pattern{"..."}, except: []pattern{"internal/golden", "internal/envtest"},
		to:  []pattern{"internal/golden", "internal/envtest", "testing/..."},
		why: "test kits are linked by tests and never by a command",
	},
	{
		from: []pattern{"..."}, to: commands, tests: true,
		why: "a command is the end of the line: what others need of it belongs in its owner's package",
	},
	{
		from: []pattern{"..."}, to: []pattern{"C", "runtime/cgo"}, tests: true,
		why: "the binaries are static: they run on every node whatever its C library",
	},
}

// home says which packages may import a third-party module. Test files may
// import any that is in testdata/modules.golden.
type home struct {
	module   string
	packages []pattern
	why      string
}

var homes = []home{
	{
		module: "golang.org/x/sys", packages: []pattern{"watchdogmux", "watchdogmux/watchdog", "pmxcfsio/...", "internal/daemon", "internal/process", "internal/worker", "internal/pveenv", "lrm/agent", "compat/cfsemu/...", "compat/e2e/..."},
		why: "system calls stay behind the packages named for what they do",
	},
	{
		module: "golang.org/x/term", packages: []pattern{"compat/demo", "compat/cmd/*", "hactl/cmd/*"},
		why: "only what draws on a terminal asks about it",
	},
	{
		module: "github.com/godbus/dbus/v5", packages: []pattern{"internal/pveenv"},
		why: "systemd is asked by the real environment alone",
	},
	{
		module: "github.com/fsnotify/fsnotify", packages: []pattern{"pmxcfsio", "lrm/agent"},
		why: "a changed file is news of the cluster file system or of a guest's control group",
	},
	{
		module: "github.com/mdlayher/netlink", packages: []pattern{"internal/pveenv"},
		why: "kernel events are read where a link goes down",
	},
	{
		module: "github.com/hanwen/go-fuse/v2", packages: []pattern{"compat/cfsemu/..."},
		why: "only the emulated pmxcfs serves a file system",
	},
	{
		module: "github.com/rogpeppe/go-internal", packages: []pattern{"internal/corpus"},
		why: "the archive format and the diff of recorded cases",
	},
	{
		module: "github.com/stretchr/testify", packages: []pattern{"internal/golden", "internal/envtest"},
		why: "assertions are for tests and test kits",
	},
}

// Limits of a file outside tests, in lines, and of a function in it.
const (
	maxFileLines     = 500
	maxFunctionLines = 90
)

// maxFileBytes is the limit of a committed file outside recordings, the
// folder where recorded cases of any size are kept.
const (
	maxFileBytes = 1 << 20
	recordings   = "compat/testdata/"
)

// forbiddenWords are what no committed file may hold. They are put together
// from parts here, so that this file holds none of them.
var forbiddenWords = []struct{ word, why string }{
	{"/wo" + "rk/", "a path of the machine it was written on"},
	{"/fa" + "rm/", "a path of the machine it was written on"},
	{".lib" + "rary", "a path of the machine it was written on"},
	{"TO" + "DO", "work left open belongs in the tracker"},
	{"FIX" + "ME", "work left open belongs in the tracker"},
}
