package pveha_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// source is what the checks need to know of a Go file.
type source struct {
	path      string // from the root, with slashes
	imports   []string
	hasDoc    bool // has a package comment
	lines     int
	functions []function
}

type function struct {
	name        string
	line, lines int
}

func (s source) folder() string { return path.Dir(s.path) }
func (s source) test() bool     { return strings.HasSuffix(s.path, "_test.go") }

func parseSource(name string, data []byte) (source, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, name, data, parser.ParseComments)
	if err != nil {
		return source{}, err
	}
	s := source{path: name, hasDoc: tree.Doc.Text() != "", lines: bytes.Count(data, []byte("\n"))}
	for _, imp := range tree.Imports {
		importPath, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			return source{}, fmt.Errorf("%s: import %s: %w", name, imp.Path.Value, err)
		}
		s.imports = append(s.imports, importPath)
	}
	for _, decl := range tree.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok {
			first, last := fset.Position(f.Pos()).Line, fset.Position(f.End()).Line
			s.functions = append(s.functions, function{name: f.Name.Name, line: first, lines: last - first + 1})
		}
	}
	return s, nil
}

// checkDocs finds packages without a package comment. A comment in a test file
// counts where there are test files only.
func checkDocs(sources []source) []string {
	code, documented := map[string]bool{}, map[string]bool{}
	for _, s := range sources {
		code[s.folder()] = code[s.folder()] || !s.test()
	}
	for _, s := range sources {
		if s.hasDoc && (!s.test() || !code[s.folder()]) {
			documented[s.folder()] = true
		}
	}
	var findings []string
	for _, folder := range slices.Sorted(maps.Keys(code)) {
		if !documented[folder] {
			findings = append(findings, folder+" has no package comment")
		}
	}
	return findings
}

// checkMap finds packages that the text, ARCHITECTURE.md, does not name.
func checkMap(text string, sources []source) []string {
	words := strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune("`(),;:", r)
	})
	missing := map[string]bool{}
	for _, s := range sources {
		if folder := s.folder(); folder != "." && !slices.Contains(words, folder) {
			missing[folder] = true
		}
	}
	var findings []string
	for _, folder := range slices.Sorted(maps.Keys(missing)) {
		findings = append(findings, "ARCHITECTURE.md does not name "+folder)
	}
	return findings
}

// checkSizes finds files and functions outside tests that are too long to be
// seen as a whole.
func checkSizes(sources []source) []string {
	var findings []string
	for _, s := range sources {
		if s.test() {
			continue
		}
		if s.lines > maxFileLines {
			findings = append(findings, fmt.Sprintf("%s has %d lines, more than %d", s.path, s.lines, maxFileLines))
		}
		for _, f := range s.functions {
			if f.lines > maxFunctionLines {
				findings = append(findings, fmt.Sprintf("%s:%d: %s has %d lines, more than %d", s.path, f.line, f.name, f.lines, maxFunctionLines))
			}
		}
	}
	return findings
}

// checkWords finds forbidden words.
func checkWords(f file) []string {
	var findings []string
	for n, line := range bytes.Split(f.data, []byte("\n")) {
		for _, w := range forbiddenWords {
			if bytes.Contains(line, []byte(w.word)) {
				findings = append(findings, fmt.Sprintf("%s:%d: %q is %s", f.path, n+1, w.word, w.why))
			}
		}
	}
	return findings
}

// checkArtefact finds files that are too large to be anyone's source, and
// binary ones that are not test data.
func checkArtefact(f file) []string {
	var findings []string
	if len(f.data) > maxFileBytes && !strings.HasPrefix(f.path, recordings) {
		findings = append(findings, fmt.Sprintf("%s has %d bytes, more than %d", f.path, len(f.data), maxFileBytes))
	}
	elf := bytes.HasPrefix(f.data, []byte("\x7fELF"))
	binary := bytes.IndexByte(f.data, 0) >= 0
	if elf || binary && !slices.Contains(strings.Split(f.path, "/"), "testdata") {
		findings = append(findings, f.path+" is a binary: build it instead of committing it")
	}
	return findings
}
