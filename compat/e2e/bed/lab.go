package bed

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
)

// rootVariable names the folder that root.sh made. The Makefile sets it.
const rootVariable = "PVEHA_E2E_ROOT"

// Lab is what all clusters of a test binary are made of.
type Lab struct {
	Target    string             // of make, which sets the variables
	Variables []string           // that the environment must have besides the root's
	Furnish   func(*Layer) error // adds to a machine what the tests try

	dir string
}

// Main is what a TestMain does: it runs the program that the binary was started
// as, if it stands in for one, and else the tests, with the lab made before and
// taken away after.
func (l *Lab) Main(tests func() int) {
	runStandIn()
	flag.Parse()
	os.Exit(l.run(tests))
}

func (l *Lab) run(tests func() int) int {
	for _, name := range append([]string{rootVariable}, l.Variables...) {
		if os.Getenv(name) == "" {
			return complain("%s must be set: run make %s", name, l.Target)
		}
	}
	dir, err := os.MkdirTemp("", "bed-")
	if err != nil {
		return complain("%v", err)
	}
	l.dir = dir
	defer func() { _ = os.RemoveAll(dir) }() // what stays is a temporary file
	if err := l.prepare(); err != nil {
		return complain("%v", err)
	}
	return tests()
}

func (l *Lab) prepare() error {
	layer, err := NewLayer(l.layer())
	if err != nil {
		return err
	}
	if err := layer.Machine(); err != nil {
		return err
	}
	return l.Furnish(layer)
}

func (l *Lab) layer() string { return filepath.Join(l.dir, "layer") }

// Cluster makes the cluster of a test, with every node off.
func (l *Lab) Cluster(test string, nodes []string, log func(format string, args ...any)) (*Cluster, error) {
	root := os.Getenv(rootVariable)
	return New(Config{
		Dir:  filepath.Join(l.dir, strings.ReplaceAll(test, "/", "-")),
		Root: filepath.Join(root, "root"), Nspawn: filepath.Join(root, "nspawn"),
		Layers: []string{l.layer()}, Nodes: nodes, Log: log,
	})
}
