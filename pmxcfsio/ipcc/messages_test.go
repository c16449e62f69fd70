package ipcc

import (
	"bytes"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// The Perl client makes its requests with pack; what it packs is what we send.
func TestRequestsAreThoseOfThePerlClient(t *testing.T) {
	perl, err := exec.LookPath("perl")
	require.NoError(t, err, "perl-base is installed on every Debian")
	must := func(b []byte, err error) []byte {
		require.NoError(t, err)
		return b
	}
	for name, test := range map[string]struct {
		sent   []byte
		packed string // arguments of pack
	}{
		"set a value":      {must(putStatus("kv/static-info", []byte(`{"cpus":4}`), false)), `"Z[256]Z*", "kv/static-info", '{"cpus":4}'`},
		"remove a value":   {must(putStatus("kv/x", nil, true)), `"Z[256]", "kv/x"`},
		"get a value":      {must(putStatusQuery("node2", "kv/version-info")), `"Z[256]Z[256]", "kv/version-info", "node2"`},
		"get our value":    {must(putStatusQuery("", "tasklist")), `"Z[256]Z[256]", "tasklist", ""`},
		"read a file":      {must(putPath("ha/resources.cfg")), `"Z*", "ha/resources.cfg"`},
		"log":              {must(putLogEntry(LogEntry{6, "root@pam", "pve-ha-crm", "moved"})), `"CCCZ*Z*Z*", 6, 9, 11, 'root@pam', "pve-ha-crm", "moved"`},
		"get the log":      {must(putLogQuery("root@pam", 20)), `"VVVVZ*", 20, 0, 0, 0, 'root@pam'`},
		"get all the log":  {must(putLogQuery("", 0)), `"VVVVZ*", 0, 0, 0, 0, ""`},
		"get a property":   {must(putGuestProperty(100, "lock")), `"VZ*", 100, "lock"`},
		"get properties":   {must(putGuestProperties(4294967295, []string{"cores", "memory"})), `"VCZ*Z*", 4294967295, 2, "cores", "memory"`},
		"of all guests":    {must(putGuestProperties(0, []string{"tags"})), `"VCZ*", 0, 1, "tags"`},
		"a name of 255":    {must(putStatusQuery("", strings.Repeat("n", 255))), `"Z[256]Z[256]", "n" x 255, ""`},
		"an empty message": {must(putLogEntry(LogEntry{})), `"CCCZ*Z*Z*", 0, 1, 1, "", "", ""`},
	} {
		t.Run(name, func(t *testing.T) {
			packed, err := exec.Command(perl, "-e", "print pack "+test.packed).Output()
			require.NoError(t, err)
			require.Equal(t, packed, test.sent)
		})
	}
}

func TestRequestsThatCannotBeSent(t *testing.T) {
	long := strings.Repeat("x", 256)
	errOf := func(_ []byte, err error) error { return err }
	for name, test := range map[string]struct{ err, want error }{
		"value without a name":         {errOf(putStatus("", nil, false)), syscall.EINVAL},
		"name of a value too long":     {errOf(putStatus(long, nil, false)), syscall.ENAMETOOLONG},
		"name of a value ends early":   {errOf(putStatus("a\x00b", nil, false)), syscall.EINVAL},
		"asked name too long":          {errOf(putStatusQuery("", long)), syscall.ENAMETOOLONG},
		"node too long":                {errOf(putStatusQuery(long, "x")), syscall.ENAMETOOLONG},
		"file without a name":          {errOf(putPath("")), syscall.EINVAL},
		"file whose name ends early":   {errOf(putPath("a\x00")), syscall.EINVAL},
		"ident too long":               {errOf(putLogEntry(LogEntry{Ident: long[:255]})), syscall.ENAMETOOLONG},
		"tag too long":                 {errOf(putLogEntry(LogEntry{Tag: long[:255]})), syscall.ENAMETOOLONG},
		"message ends early":           {errOf(putLogEntry(LogEntry{Message: "a\x00b"})), syscall.EINVAL},
		"user ends early":              {errOf(putLogQuery("a\x00b", 0)), syscall.EINVAL},
		"property without a name":      {errOf(putGuestProperty(0, "")), syscall.EINVAL},
		"property in capitals":         {errOf(putGuestProperty(0, "Lock")), syscall.EINVAL},
		"no properties":                {errOf(putGuestProperties(0, nil)), syscall.EINVAL},
		"more than 255 properties":     {errOf(putGuestProperties(0, make([]string, 256))), syscall.EINVAL},
		"a bad one under them":         {errOf(putGuestProperties(0, []string{"a", "9"})), syscall.EINVAL},
		"property that ends too early": {errOf(putGuestProperties(0, []string{"a\x00b"})), syscall.EINVAL},
	} {
		t.Run(name, func(t *testing.T) { require.ErrorIs(t, test.err, test.want) })
	}
}

// What pmxcfs's server.c answers with EINVAL.
func TestRequestsThatPmxcfsRefuses(t *testing.T) {
	field := make([]byte, nameSize)
	for name, refused := range map[string]error{
		"short name of a value":       third(parseStatus(field[1:])),
		"short question for a value":  third(parseStatusQuery(append(field[1:], field...))),
		"file without a name":         second(parsePath(nil)),
		"log entry without lengths":   second(parseLogEntry([]byte{6, 1})),
		"log entry without a message": second(parseLogEntry([]byte{6, 1, 1, 0, 0})),
		"log entry without ident":     second(parseLogEntry([]byte{6, 0, 1, 0, 'm', 0})),
		"log entry without tag":       second(parseLogEntry([]byte{6, 1, 0, 0, 'm', 0})),
		"ident without an end":        second(parseLogEntry([]byte{6, 1, 1, 'i', 0, 'm', 0})),
		"tag without an end":          second(parseLogEntry([]byte{6, 1, 1, 0, 't', 'm', 0})),
		"lengths beyond the message":  second(parseLogEntry([]byte{6, 255, 255, 0, 0, 'm', 0})),
		"log without a user":          third(parseLogQuery(make([]byte, 16))),
		"guest without an ID":         third(parseGuestProperty([]byte{1, 2, 3})),
		"guest below 100":             third(parseGuestProperty([]byte{99, 0, 0, 0, 'a', 0})),
		"no property":                 third(parseGuestProperty([]byte{100, 0, 0, 0})),
		"no properties":               third(parseGuestProperties([]byte{100, 0, 0, 0, 0, 'a', 0})),
		"nothing after the count":     third(parseGuestProperties([]byte{100, 0, 0, 0, 1, 0})),
		"fewer than counted":          third(parseGuestProperties([]byte{100, 0, 0, 0, 2, 'a', 0})),
		"more than counted":           third(parseGuestProperties([]byte{100, 0, 0, 0, 1, 'a', 0, 'b', 0})),
		"property without an end":     third(parseGuestProperties([]byte{100, 0, 0, 0, 1, 'a', 'b'})),
		"empty property":              third(parseGuestProperties([]byte{100, 0, 0, 0, 1, 0, 0})),
		"property in capitals":        third(parseGuestProperties([]byte{100, 0, 0, 0, 1, 'A', 0})),
	} {
		t.Run(name, func(t *testing.T) { require.ErrorIs(t, refused, syscall.EINVAL) })
	}
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }

// Where pmxcfs reads on to the last byte, which it makes zero.
func TestRequestsThatPmxcfsCutsShort(t *testing.T) {
	path, err := parsePath([]byte("no zero byte"))
	require.NoError(t, err)
	require.Equal(t, "no zero byt", path)
	name, value, err := parseStatus(append(bytes.Repeat([]byte("n"), nameSize), "rest"...))
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("n", nameSize-1), name)
	require.Equal(t, "rest", string(value))
	_, limit, err := parseLogQuery(make([]byte, 17))
	require.NoError(t, err)
	require.EqualValues(t, 50, limit)
}

func TestPrivateFiles(t *testing.T) {
	for path, want := range map[string]bool{
		"priv": true, "priv/": true, "/priv/lock": true, "///priv/x": true,
		"nodes/n/priv": true, "nodes/n/priv/x": true, "/nodes/n/priv": true,
		"private": false, "ha/priv": false, "nodes/priv": false, "nodes/n/x/priv": false,
		"nodes/n/privat": false, "": false, "nodes/": false, "nodes//priv": true,
	} {
		require.Equal(t, want, private(path), path)
	}
}

// FuzzParse reads any request without harm, and what we would send as well.
func FuzzParse(f *testing.F) {
	f.Add([]byte{6, 1, 1, 0, 0, 'm', 0})
	f.Add([]byte{100, 0, 0, 0, 1, 'a', 0})
	f.Add(make([]byte, 2*nameSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _ = parseStatus(b)
		_, _, _ = parseStatusQuery(b)
		_, _ = parsePath(b)
		_, _, _ = parseLogQuery(b)
		_, _, _ = parseGuestProperty(b)
		if entry, err := parseLogEntry(b); err == nil {
			sent, err := putLogEntry(entry)
			require.NoError(t, err)
			again, err := parseLogEntry(sent)
			require.NoError(t, err)
			require.Equal(t, entry, again)
		}
		if vmid, properties, err := parseGuestProperties(b); err == nil {
			sent, err := putGuestProperties(vmid, properties)
			require.NoError(t, err)
			require.Equal(t, b, sent)
		}
	})
}
