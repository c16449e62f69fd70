package hacfg

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// manyResources returns a resources.cfg in canonical form.
func manyResources(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "vm: %d\n\tcomment guest number %d\n\tgroup prefer-node%d\n\tmax_restart 3\n\tstate started\n\n", 100+i, i, i%7)
	}
	return b.Bytes()
}

func BenchmarkParse10000Resources(b *testing.B) {
	raw := manyResources(10000)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if resources, problems := ParseResources("resources.cfg", raw); len(problems) > 0 || len(resources.ByID) != 10000 {
			b.Fatal("not read")
		}
	}
}

func BenchmarkWrite10000Resources(b *testing.B) {
	raw := manyResources(10000)
	resources, _ := ParseResources("resources.cfg", raw)
	for b.Loop() {
		if out, err := resources.Write(); err != nil || len(out) != len(raw) {
			b.Fatal("not written")
		}
	}
}

// garbage is a mebibyte of what no file should hold, the largest size of a
// file of the cluster.
var garbage = map[string][]byte{
	"one character a line": []byte(strings.Repeat("x\n", 1<<19)),
	"empty properties":     []byte("vm: 100\n" + strings.Repeat("\tx\n", 1<<20/3)),
	"headers":              []byte(strings.Repeat("a:b\n\n", 1<<20/5)),
	"one line":             []byte(strings.Repeat("x", 1<<20)),
	"zeros":                make([]byte, 1<<20),
	"colons":               []byte(strings.Repeat(":", 1<<20)),
	"list":                 []byte("node-affinity: ab\n\tnodes " + strings.Repeat("a,", 1<<19)),
	"quotes":               []byte("device a b " + strings.Repeat(`"`, 1<<20)),
}

func BenchmarkRejectGarbage1MiB(b *testing.B) {
	for file, parse := range map[string]func(raw []byte){
		"resources":  func(raw []byte) { ParseResources("f", raw) },
		"groups":     func(raw []byte) { ParseGroups("f", raw) },
		"rules":      func(raw []byte) { ParseRules("f", raw) },
		"fence":      func(raw []byte) { ParseFence("f", raw) },
		"datacenter": func(raw []byte) { ParseDatacenter("f", raw) },
	} {
		for name, raw := range garbage {
			b.Run(file+"/"+name, func(b *testing.B) {
				for b.Loop() {
					parse(raw)
				}
			})
		}
	}
}

func TestLargeFileIsTheSameWhenWritten(t *testing.T) {
	raw := manyResources(2000)
	resources, problems := ParseResources("resources.cfg", raw)
	require.Empty(t, problems)
	out, err := resources.Write()
	require.NoError(t, err)
	require.Equal(t, string(raw), string(out))
}
