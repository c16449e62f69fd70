// Package pveha_test holds the repository to its own rules: who may import
// whom, which third-party modules there are and where they live, and what a
// committed file may look like. The rules are data, in house_rules_test.go;
// ARCHITECTURE.md tells the story behind them.
package pveha_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/golden"
)

func TestImportsGoDownward(t *testing.T) {
	report(t, checkLevels(goSources(t), levels))
}

func TestForbiddenImports(t *testing.T) {
	report(t, checkBans(goSources(t), bans))
}

func TestThirdPartyModulesStayHome(t *testing.T) {
	report(t, checkHomes(goSources(t), homes))
}

func TestThirdPartyModules(t *testing.T) {
	list := moduleList(listPackages(t, "CGO_ENABLED=0"))
	golden.Golden(t, "testdata/modules.golden", []byte(list))
}

func TestThirdPartyCodeNeedsNoC(t *testing.T) {
	report(t, checkCgo(listPackages(t, "CGO_ENABLED=1")))
}

func TestPackagesAreDocumented(t *testing.T) {
	report(t, checkDocs(goSources(t)))
}

func TestPackagesAreOnTheMap(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	require.NoError(t, err)
	report(t, checkMap(string(text), goSources(t)))
}

func TestSizes(t *testing.T) {
	report(t, checkSizes(goSources(t)))
}

func TestFiles(t *testing.T) {
	for _, f := range repositoryFiles(t) {
		report(t, checkWords(f))
		report(t, checkArtefact(f))
	}
}

// report fails the test with one line for each finding.
func report(t *testing.T, findings []string) {
	t.Helper()
	for _, f := range findings {
		t.Error(f)
	}
}

// file is a file of the repository.
type file struct {
	path string // from the root, with slashes
	data []byte
}

// repositoryFiles reads what is committed or about to be: every file that
// .gitignore does not name. It walks the tree itself, since Go can then see
// when its cached result of these tests is out of date.
func repositoryFiles(t *testing.T) []file {
	t.Helper()
	ignore, err := os.ReadFile(".gitignore")
	require.NoError(t, err)
	patterns := strings.Fields(string(ignore))

	var files []file
	err = fs.WalkDir(os.DirFS("."), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == ".git" || ignored(patterns, name)):
			return fs.SkipDir
		case !entry.Type().IsRegular() || ignored(patterns, name):
			return nil
		}
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // an editor's file that went away
		}
		files = append(files, file{path: name, data: data})
		return err
	})
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

// ignored understands the two forms of pattern that .gitignore uses: /NAME/ at
// the root and *.EXT anywhere.
func ignored(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if rooted, ok := strings.CutPrefix(p, "/"); ok {
			return name == strings.TrimSuffix(rooted, "/")
		}
		match, err := path.Match(p, path.Base(name))
		return match && err == nil
	})
}

// goSources parses every Go file of the module, whatever its build
// constraints, but not what lies in testdata folders.
func goSources(t *testing.T) []source {
	t.Helper()
	var sources []source
	for _, f := range repositoryFiles(t) {
		if path.Ext(f.path) != ".go" || slices.Contains(strings.Split(f.path, "/"), "testdata") {
			continue
		}
		s, err := parseSource(f.path, f.data)
		require.NoError(t, err)
		sources = append(sources, s)
	}
	require.NotEmpty(t, sources)
	return sources
}

// listed is what go list says of a package.
type listed struct {
	ImportPath string
	Name       string
	ForTest    string
	Deps       []string
	CgoFiles   []string
	Module     *struct {
		Path string
		Main bool
	}
}

// listPackages asks go list for all packages of the module, their tests, and
// everything they link.
func listPackages(t *testing.T, cgo string) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-test", "-json=ImportPath,Name,ForTest,Deps,CgoFiles,Module", "./...")
	cmd.Env = append(os.Environ(), cgo)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())

	var packages []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			require.NotEmpty(t, packages)
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
