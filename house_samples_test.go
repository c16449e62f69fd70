package pveha_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The checks are checked here: each must find what it is for.

func TestPatterns(t *testing.T) {
	for _, test := range []struct {
		pattern pattern
		matches []string
		others  []string
	}{
		{"crm", []string{"crm"}, []string{"crm/rules", "crmx", "."}},
		{"crm/...", []string{"crm", "crm/rules", "crm/usage/topsis"}, []string{"crmx", "lrm/crm"}},
		{"*/cmd/*", []string{"crm/cmd/pve-ha-crm"}, []string{"crm/cmd", "cmd/x", "crm/cmd/x/y"}},
		{"*/cmd/...", []string{"crm/cmd", "crm/cmd/x/y"}, []string{"crm/cmdx", "cmd"}},
		{"*.*/...", []string{"golang.org/x/sys/unix", "gopkg.in/yaml.v3"}, []string{"encoding/json", "pveha/crm"}},
		{"...", []string{".", "crm", "os", "golang.org/x/sys"}, nil},
	} {
		for _, pkg := range test.matches {
			require.True(t, test.pattern.matches(pkg), "%s and %s", test.pattern, pkg)
		}
		for _, pkg := range test.others {
			require.False(t, test.pattern.matches(pkg), "%s and %s", test.pattern, pkg)
		}
	}
}

func imports(path string, imports ...string) source { return source{path: path, imports: imports} }

func TestCheckLevels(t *testing.T) {
	levels := []level{
		{packages: []pattern{"ground"}, why: "low"},
		{packages: []pattern{"first", "side"}, why: "middle"},
		{packages: []pattern{"*/cmd/*"}, why: "high"},
	}
	for name, test := range map[string]struct {
		source source
		want   string
	}{
		"down":                {source: imports("first/a.go", "pveha/ground", "os", "golang.org/x/sys/unix")},
		"down two floors":     {source: imports("first/cmd/x/main.go", "pveha/ground", "pveha/side")},
		"up in a test":        {source: imports("ground/a_test.go", "pveha/first")},
		"sideways":            {imports("first/a.go", "pveha/side"), "first/a.go imports pveha/side, which is not below it (level 2: middle)"},
		"up":                  {imports("ground/a.go", "pveha/first"), "ground/a.go imports pveha/first, which is not below it (level 2: middle)"},
		"a package, no level": {imports("attic/a.go"), "attic has no level: give it one in house_rules_test.go"},
	} {
		t.Run(name, func(t *testing.T) { requireFinding(t, test.want, checkLevels([]source{test.source}, levels)) })
	}
}

func TestCheckBans(t *testing.T) {
	bans := []ban{
		{from: []pattern{"crm/..."}, except: commands, to: []pattern{"os/...", "lrm/..."}, why: "apart"},
		{from: []pattern{"..."}, to: []pattern{"C"}, tests: true, why: "static"},
	}
	for name, test := range map[string]struct {
		sources []source
		want    string
	}{
		"allowed":            {sources: []source{imports("crm/a.go", "fmt", "pveha/internal/ha"), imports("hactl/a.go", "os", "pveha/lrm")}},
		"excepted":           {sources: []source{imports("crm/cmd/x/main.go", "os", "pveha/lrm")}},
		"a test":             {sources: []source{imports("crm/a_test.go", "os")}},
		"straight":           {[]source{imports("crm/a.go", "os")}, "crm/a.go imports os: apart"},
		"in a subpackage":    {[]source{imports("crm/rules/a.go", "os/exec")}, "crm/rules/a.go imports os/exec: apart"},
		"ours":               {[]source{imports("crm/a.go", "pveha/lrm/agent")}, "crm/a.go imports pveha/lrm/agent: apart"},
		"through another":    {[]source{imports("crm/a.go", "pveha/hub"), imports("hub/a.go", "pveha/lrm")}, "crm imports hub imports lrm: apart"},
		"a ban of tests too": {[]source{imports("crm/a_test.go", "C")}, "crm/a_test.go imports C: static"},
		"another's test":     {sources: []source{imports("crm/a.go", "pveha/hub"), imports("hub/a_test.go", "pveha/lrm")}},
		"a circle": {
			[]source{imports("crm/a.go", "pveha/hub"), imports("hub/a.go", "pveha/crm", "pveha/rim"), imports("rim/a.go", "pveha/lrm")},
			"crm imports hub imports rim imports lrm: apart",
		},
	} {
		t.Run(name, func(t *testing.T) { requireFinding(t, test.want, checkBans(test.sources, bans)) })
	}
}

// TestRulesOfTheHouse holds the tables themselves to the cases they were
// written for.
func TestRulesOfTheHouse(t *testing.T) {
	for _, s := range []source{
		imports("crm/a.go", "pveha/lrm"),
		imports("lrm/agent/a.go", "pveha/crm/rules"),
		imports("crm/a.go", "pveha/pmxcfsio"),
		imports("lrm/a.go", "pveha/watchdogmux/wdclient"),
		imports("crm/usage/a.go", "os"),
		imports("lrm/a.go", "os/exec"),
		imports("crm/a.go", "net"),
		imports("internal/ha/a.go", "golang.org/x/text/cases"),
		imports("hactl/a.go", "pveha/internal/golden"),
		imports("compat/sim/a.go", "testing"),
		imports("compat/a_test.go", "pveha/crm/cmd/pve-ha-crm"),
		imports("pmxcfsio/ipcc/a_test.go", "C"),
		imports("hactl/a.go", "runtime/cgo"),
	} {
		require.NotEmpty(t, checkBans([]source{s}, bans), "%s may import %s", s.path, s.imports)
	}
	require.Empty(t, checkBans([]source{
		imports("crm/cmd/pve-ha-crm/main.go", "os", "pveha/internal/pveenv", "pveha/crm"),
		imports("crm/a.go", "fmt", "pveha/internal/ha", "pveha/crm/rules"),
		imports("lrm/agent/a.go", "os/exec", "pveha/internal/ha"),
		imports("crm/a_test.go", "os", "pveha/internal/golden", "pveha/compat/sim"),
		imports("internal/envtest/a.go", "testing", "pveha/internal/golden", "pveha/crm", "pveha/lrm"),
	}, bans))
}

func TestCheckHomes(t *testing.T) {
	homes := []home{{module: "example.org/bus/v5", packages: []pattern{"stop"}, why: "one stop"}}
	for name, test := range map[string]struct {
		source source
		want   string
	}{
		"at home":        {source: imports("stop/a.go", "example.org/bus/v5", "example.org/bus/v5/wheel", "os", "pveha/crm")},
		"in a test":      {source: imports("crm/a_test.go", "example.org/bus/v5")},
		"away":           {imports("crm/a.go", "example.org/bus/v5/wheel"), "crm/a.go imports example.org/bus/v5/wheel, whose home is [stop]: one stop"},
		"without a home": {imports("stop/a.go", "example.org/bus"), "stop/a.go imports example.org/bus, which has no home: name one in house_rules_test.go"},
	} {
		t.Run(name, func(t *testing.T) { requireFinding(t, test.want, checkHomes([]source{test.source}, homes)) })
	}
}

func TestModuleListMarksWhatOnlyTestsUse(t *testing.T) {
	packages := listedSample(t, `[
		{"ImportPath": "os"},
		{"ImportPath": "example.org/bus/wheel", "Module": {"Path": "example.org/bus"}},
		{"ImportPath": "example.org/bus/test", "Module": {"Path": "example.org/bus"}},
		{"ImportPath": "example.org/check", "Module": {"Path": "example.org/check"}},
		{"ImportPath": "pveha/x/cmd/y", "Name": "main", "Deps": ["example.org/bus/wheel"], "Module": {"Path": "pveha", "Main": true}},
		{"ImportPath": "pveha/x.test", "Name": "main", "Deps": ["example.org/check"], "Module": {"Path": "pveha", "Main": true}}
	]`)
	require.Equal(t, "example.org/bus\nexample.org/check (tests)\n", moduleList(packages))
}

func TestCheckCgo(t *testing.T) {
	packages := listedSample(t, `[
		{"ImportPath": "net", "CgoFiles": ["cgo_unix.go"]},
		{"ImportPath": "example.org/pure", "Module": {"Path": "example.org/pure"}},
		{"ImportPath": "example.org/glue", "CgoFiles": ["glue.go"], "Module": {"Path": "example.org/glue"}}
	]`)
	require.Equal(t, []string{"example.org/glue needs cgo: glue.go"}, checkCgo(packages))
}

func TestParseSource(t *testing.T) {
	s, err := parseSource("a/b.go", []byte("// Package a is a sample.\npackage a\n\nimport (\n\t\"C\"\n\tx \"os\"\n)\n\nfunc (t *T) long() {\n\t_ = 1\n}\n"))
	require.NoError(t, err)
	require.Equal(t, source{
		path: "a/b.go", imports: []string{"C", "os"}, hasDoc: true, lines: 11,
		functions: []function{{name: "long", line: 9, lines: 3}},
	}, s)

	_, err = parseSource("a/b.go", []byte("package\n"))
	require.ErrorContains(t, err, "a/b.go:")
}

func TestCheckDocs(t *testing.T) {
	require.Empty(t, checkDocs([]source{
		{path: "a/doc.go", hasDoc: true}, {path: "a/a.go"}, {path: "tests/a_test.go", hasDoc: true},
	}))
	require.Equal(t, []string{"a has no package comment", "b has no package comment"}, checkDocs([]source{
		{path: "b/b.go"}, {path: "a/a.go"}, {path: "a/a_test.go", hasDoc: true},
	}))
}

func TestCheckMap(t *testing.T) {
	sources := []source{{path: "crm/rules/a.go"}, {path: "house_test.go"}}
	require.Empty(t, checkMap("    crm/rules   affinity rules\n", sources))
	require.Empty(t, checkMap("see `crm/rules`.", sources))
	require.Equal(t, []string{"ARCHITECTURE.md does not name crm/rules"}, checkMap("crm and crm/rulesets", sources))
}

func TestCheckSizes(t *testing.T) {
	fits := source{path: "a/a.go", lines: maxFileLines, functions: []function{{name: "f", line: 3, lines: maxFunctionLines}}}
	require.Empty(t, checkSizes([]source{fits, {path: "a/a_test.go", lines: 10 * maxFileLines}}))

	tall := source{path: "a/a.go", lines: maxFileLines + 1, functions: []function{{name: "f", line: 3, lines: maxFunctionLines + 1}}}
	require.Equal(t, []string{
		"a/a.go has 501 lines, more than 500",
		"a/a.go:3: f has 91 lines, more than 90",
	}, checkSizes([]source{tall}))
}

func TestCheckWords(t *testing.T) {
	for _, w := range forbiddenWords {
		f := file{path: "a/a.go", data: []byte("first\nsee " + w.word + "x\n")}
		require.Equal(t, []string{"a/a.go:2: \"" + w.word + "\" is " + w.why}, checkWords(f))
	}
	require.Empty(t, checkWords(file{path: "a/a.go", data: []byte("workers do their work\n")}))
}

func TestCheckArtefact(t *testing.T) {
	large := bytes.Repeat([]byte("text\n"), maxFileBytes/5+1)
	for name, test := range map[string]struct {
		file file
		want string
	}{
		"text":                     {file: file{"a/a.go", []byte("package a\n")}},
		"large":                    {file{"a/data", large}, "a/data has 1048580 bytes, more than 1048576"},
		"large test data":          {file{"a/testdata/data", large}, "a/testdata/data has 1048580 bytes, more than 1048576"},
		"large recording":          {file: file{"compat/testdata/data", large}},
		"binary":                   {file{"a/data", []byte("a\x00b")}, "a/data is a binary: build it instead of committing it"},
		"binary test data":         {file: file{"a/testdata/data", []byte("a\x00b")}},
		"program":                  {file{"pve-ha-crm", []byte("\x7fELF\x02")}, "pve-ha-crm is a binary: build it instead of committing it"},
		"program among recordings": {file{"compat/testdata/x", []byte("\x7fELF\x02")}, "compat/testdata/x is a binary: build it instead of committing it"},
	} {
		t.Run(name, func(t *testing.T) { requireFinding(t, test.want, checkArtefact(test.file)) })
	}
}

func TestIgnored(t *testing.T) {
	patterns := []string{"/bin/", "*.prof"}
	require.True(t, ignored(patterns, "bin"))
	require.True(t, ignored(patterns, "crm/cpu.prof"))
	require.False(t, ignored(patterns, "crm/bin"))
	require.False(t, ignored(patterns, "crm/prof.go"))
}

// requireFinding wants exactly one finding, or none when want is empty.
func requireFinding(t *testing.T, want string, got []string) {
	t.Helper()
	if want == "" {
		require.Empty(t, got)
		return
	}
	require.Equal(t, []string{want}, got)
}

func listedSample(t *testing.T, text string) []listed {
	t.Helper()
	var packages []listed
	require.NoError(t, json.NewDecoder(strings.NewReader(text)).Decode(&packages))
	return packages
}
