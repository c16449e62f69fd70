package pveha_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

const modulePath = "pveha"

// matches tells whether the pattern names the package.
func (p pattern) matches(pkg string) bool {
	if p == "..." {
		return true
	}
	base, below := strings.CutSuffix(string(p), "/...")
	want, have := strings.Split(base, "/"), strings.Split(pkg, "/")
	if len(have) < len(want) || len(have) > len(want) && !below {
		return false
	}
	for i, w := range want {
		if ok, err := path.Match(w, have[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

func matchesAny(patterns []pattern, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p pattern) bool { return p.matches(pkg) })
}

// own returns the folder of a package of this module.
func own(importPath string) (folder string, ok bool) {
	if importPath == modulePath {
		return ".", true
	}
	return strings.CutPrefix(importPath, modulePath+"/")
}

// place returns how patterns name an imported package.
func place(importPath string) string {
	if folder, ok := own(importPath); ok {
		return folder
	}
	return importPath
}

// checkLevels finds packages without a level, and imports that do not go down.
func checkLevels(sources []source, levels []level) []string {
	levelOf := func(folder string) int {
		return slices.IndexFunc(levels, func(l level) bool { return matchesAny(l.packages, folder) })
	}
	var findings []string
	homeless := map[string]bool{}
	for _, s := range sources {
		from := levelOf(s.folder())
		if from < 0 {
			homeless[s.folder()] = true
			continue
		}
		for _, imp := range s.imports {
			folder, ours := own(imp)
			if !ours || s.test() {
				continue
			}
			if to := levelOf(folder); to >= from {
				findings = append(findings, fmt.Sprintf("%s imports %s, which is not below it (level %d: %s)",
					s.path, imp, to+1, levels[to].why))
			}
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(homeless)) {
		findings = append(findings, folder+" has no level: give it one in house_rules_test.go")
	}
	return findings
}

// checkBans finds forbidden imports.
func checkBans(sources []source, bans []ban) []string {
	var findings []string
	edges := importEdges(sources)
	for _, b := range bans {
		applies := func(folder string) bool {
			return matchesAny(b.from, folder) && !matchesAny(b.except, folder)
		}
		for _, s := range sources {
			if !applies(s.folder()) || s.test() && !b.tests {
				continue
			}
			for _, imp := range s.imports {
				if matchesAny(b.to, place(imp)) {
					findings = append(findings, fmt.Sprintf("%s imports %s: %s", s.path, imp, b.why))
				}
			}
		}
		for _, folder := range slices.Sorted(maps.Keys(edges)) {
			if !applies(folder) {
				continue
			}
			if chain := reach(edges, folder, b.to); len(chain) > 2 {
				findings = append(findings, fmt.Sprintf("%s: %s", strings.Join(chain, " imports "), b.why))
			}
		}
	}
	return findings
}

// importEdges lists for each package of the module those it imports, tests
// left out.
func importEdges(sources []source) map[string][]string {
	edges := map[string][]string{}
	for _, s := range sources {
		for _, imp := range s.imports {
			if folder, ours := own(imp); ours && !s.test() {
				edges[s.folder()] = append(edges[s.folder()], folder)
			}
		}
	}
	for _, to := range edges {
		slices.Sort(to)
	}
	return edges
}

// reach returns a shortest chain of imports from a package to one that the
// patterns name, both ends included, or nil.
func reach(edges map[string][]string, from string, to []pattern) []string {
	seen := map[string]bool{from: true}
	for queue := [][]string{{from}}; len(queue) > 0; queue = queue[1:] {
		chain := queue[0]
		for _, next := range edges[chain[len(chain)-1]] {
			if seen[next] {
				continue
			}
			seen[next] = true
			longer := append(slices.Clone(chain), next)
			if matchesAny(to, next) {
				return longer
			}
			queue = append(queue, longer)
		}
	}
	return nil
}

// checkHomes finds third-party modules that are imported away from home.
func checkHomes(sources []source, homes []home) []string {
	var findings []string
	for _, s := range sources {
		for _, imp := range s.imports {
			if first, _, _ := strings.Cut(imp, "/"); s.test() || !strings.Contains(first, ".") {
				continue
			}
			i := slices.IndexFunc(homes, func(h home) bool {
				return imp == h.module || strings.HasPrefix(imp, h.module+"/")
			})
			switch {
			case i < 0:
				findings = append(findings, fmt.Sprintf("%s imports %s, which has no home: name one in house_rules_test.go", s.path, imp))
			case !matchesAny(homes[i].packages, s.folder()):
				findings = append(findings, fmt.Sprintf("%s imports %s, whose home is %s: %s", s.path, imp, homes[i].packages, homes[i].why))
			}
		}
	}
	return findings
}

// moduleList lists the third-party modules by path, one a line; those that no
// command links are marked as the tests' own.
func moduleList(packages []listed) string {
	linked := map[string]bool{}
	for _, p := range packages {
		if p.Name == "main" && p.Module != nil && p.Module.Main && !strings.HasSuffix(p.ImportPath, ".test") {
			for _, dep := range p.Deps {
				linked[dep] = true
			}
		}
	}
	modules := map[string]string{}
	for _, p := range packages {
		if p.Module == nil || p.Module.Main {
			continue
		}
		if linked[p.ImportPath] {
			modules[p.Module.Path] = ""
		} else if _, known := modules[p.Module.Path]; !known {
			modules[p.Module.Path] = " (tests)"
		}
	}
	var list strings.Builder
	for _, m := range slices.Sorted(maps.Keys(modules)) {
		fmt.Fprintln(&list, m+modules[m])
	}
	return list.String()
}

// checkCgo finds third-party packages with C in them. They build without cgo
// too, but then they are other code than where a C compiler is at hand.
func checkCgo(packages []listed) []string {
	var findings []string
	for _, p := range packages {
		if p.Module != nil && len(p.CgoFiles) > 0 {
			findings = append(findings, fmt.Sprintf("%s needs cgo: %s", p.ImportPath, strings.Join(p.CgoFiles, ", ")))
		}
	}
	return findings
}
