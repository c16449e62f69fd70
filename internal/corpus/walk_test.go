package corpus

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func replaceDir(s, dir string) string { return strings.ReplaceAll(s, "DIR", dir) }

func TestWalkFindsEveryScenarioOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a/z/cmdlist", "[]\n")
	write(t, dir+"/a/b/deep/cmdlist", "[]\n")
	write(t, dir+"/a/notes", "no scenario\n")
	write(t, dir+"/c/one.txtar", "-- cmdlist --\n")
	write(t, dir+"/c/two.txtar", "-- cmdlist --\n")
	require.NoError(t, os.Symlink("c", dir+"/link"))

	for name, test := range map[string]struct{ in, want []string }{
		"sorted over several places": {in: []string{"DIR/c", "DIR/a"}, want: []string{"DIR/a/b/deep", "DIR/a/z", "DIR/c/one.txtar", "DIR/c/two.txtar"}},
		"overlapping places":         {in: []string{"DIR/a", "DIR/a/z", "DIR/a/z/"}, want: []string{"DIR/a/b/deep", "DIR/a/z"}},
		"a folder by itself":         {in: []string{"DIR/a/z"}, want: []string{"DIR/a/z"}},
		"an archive by itself":       {in: []string{"DIR/c/two.txtar"}, want: []string{"DIR/c/two.txtar"}},
		"place behind a link":        {in: []string{"DIR/link"}, want: []string{"DIR/link/one.txtar", "DIR/link/two.txtar"}},
	} {
		t.Run(name, func(t *testing.T) {
			cases, err := Walk(inDir(dir, test.in)...)
			require.NoError(t, err)
			var got []string
			for _, c := range cases {
				got = append(got, c.Path)
			}
			require.Equal(t, inDir(dir, test.want), got)
		})
	}
}

func TestWalkFailsWithoutScenarios(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/good/cmdlist", "[]\n")
	write(t, dir+"/none/readme", "\n")
	write(t, dir+"/broken/good.txtar", "-- cmdlist --\n")
	write(t, dir+"/broken/bad.txtar", "-- hardware_status --\n")

	for name, test := range map[string]struct {
		in   []string
		want string
	}{
		"no place":               {want: "no place to look"},
		"place does not exist":   {in: []string{"DIR/good", "DIR/gone"}, want: "stat DIR/gone: no such file"},
		"place without scenario": {in: []string{"DIR/good", "DIR/none"}, want: "no scenario in DIR/none"},
		"a broken archive":       {in: []string{"DIR/broken"}, want: "DIR/broken/bad.txtar holds no file cmdlist"},
		"a file of another kind": {in: []string{"DIR/none/readme"}, want: "DIR/none/readme: neither"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Walk(inDir(dir, test.in)...)
			require.ErrorContains(t, err, replaceDir(test.want, dir))
		})
	}
}

func inDir(dir string, paths []string) []string {
	out := make([]string, 0, len(paths))
	for _, p := range paths {
		out = append(out, replaceDir(p, dir))
	}
	return out
}
