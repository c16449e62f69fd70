package handover

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pveha/pmxcfsio"
)

// Cluster is what has to be known of the cluster. *[pmxcfsio.FS] is one.
type Cluster interface {
	Mounted(ctx context.Context) error
	Quorate(ctx context.Context) (bool, error)
	Read(ctx context.Context, name string) ([]byte, error)
	Members(ctx context.Context) (pmxcfsio.Members, error)
	KV(ctx context.Context, node, key string) ([]byte, error)
}

// Node is the node whose stack is shown and changed.
type Node struct {
	Name    string
	Root    string // before all paths; "" on a real node
	Cluster Cluster
	Out     io.Writer // takes one line for each thing done or found

	// Run runs a program and returns its standard output. The error of one that
	// fails holds what it said.
	Run func(name string, args ...string) (string, error)
	// Now is the time of day, which status files are compared with.
	Now func() time.Time
	// Sleep waits.
	Sleep func(time.Duration)
}

func (n *Node) at(path string) string {
	if n.Root == "" {
		return path
	}
	return filepath.Join(n.Root, path)
}

func (n *Node) say(format string, args ...any) { fmt.Fprintf(n.Out, format+"\n", args...) }

// file returns the first line of a small file.
func (n *Node) file(path string) (string, error) {
	data, err := os.ReadFile(n.at(path))
	line, _, _ := strings.Cut(string(data), "\n")
	return line, err
}
