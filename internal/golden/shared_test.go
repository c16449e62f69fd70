package golden

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLocate(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(dir+"/checkout/crm/rules", 0o755))
	require.NoError(t, os.MkdirAll(dir+"/alone/checkout", 0o755))
	require.NoError(t, os.MkdirAll(dir+"/shared/golden", 0o755))
	require.NoError(t, os.WriteFile(dir+"/checkout/go.mod", nil, 0o644))
	require.NoError(t, os.WriteFile(dir+"/alone/checkout/go.mod", nil, 0o644))

	for name, test := range map[string]struct {
		dir, given string
		sub        []string
		want, err  string
	}{
		"beside the checkout":         {dir: dir + "/checkout/crm/rules", sub: []string{"golden"}, want: dir + "/shared/golden"},
		"the folder itself":           {dir: dir + "/checkout", want: dir + "/shared"},
		"given":                       {dir: dir + "/alone/checkout", given: dir + "/shared", sub: []string{"golden"}, want: dir + "/shared/golden"},
		"given, outside a checkout":   {dir: dir, given: dir + "/shared", want: dir + "/shared"},
		"given, from the checkout":    {dir: dir + "/alone/checkout", given: "../../shared", want: dir + "/shared"},
		"no folder":                   {dir: dir + "/alone/checkout", err: "no shared folder at " + dir + "/alone/shared"},
		"given folder does not exist": {dir: dir + "/checkout", given: dir + "/gone", err: "no shared folder at " + dir + "/gone"},
		"a part is missing":           {dir: dir + "/checkout", sub: []string{"golden", "cli"}, err: "the shared folder is incomplete"},
		"outside a checkout":          {dir: dir, err: "no go.mod in " + dir},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := locate(test.dir, test.given, test.sub)
			if test.err != "" {
				require.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestSharedSkipsOnlyWhereTheFolderMayBeAbsent(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		ci, shared, sub string
		skips, fails    bool
	}{
		"there":                          {ci: "true", shared: dir},
		"absent on somebody's machine":   {shared: dir + "/gone", skips: true},
		"absent in CI":                   {ci: "true", shared: dir + "/gone", fails: true},
		"misspelt on somebody's machine": {shared: dir, sub: "gloden", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CI", test.ci)
			t.Setenv(sharedVariable, test.shared)
			r := &recorder{}
			got := Shared(r, test.sub)
			require.Equal(t, test.skips, len(r.skipped) > 0, r.skipped)
			require.Equal(t, test.fails, len(r.fatal) > 0, r.fatal)
			require.Equal(t, !test.skips && !test.fails, got == dir)
		})
	}
}
