package hactl

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadJSON(t *testing.T) {
	value, err := readJSON([]byte(` {"a":[1,-0,2.50,1e5,1e20,12345678901234567890],"b":"\u00e9\ud83d\ude00\n","c":{"d":null,"e":true}} `))
	require.NoError(t, err)
	require.Equal(t, object{
		"a": []any{number("1"), number("0"), number("2.5"), number("100000"), number("1e+20"), "12345678901234567890"},
		"b": "é😀\n", "c": object{"d": nil, "e": true},
	}, value)

	value, err = readJSONWithout([]byte(`{"results":{"a":{"results":1}},"mode":"active"}`), "results")
	require.NoError(t, err)
	require.Equal(t, object{"mode": "active"}, value)
	_, err = readJSONWithout([]byte(`{"results":{"a":{]}},"mode":"active"}`), "results")
	require.ErrorContains(t, err, "at character offset 17", "what is left out is looked at all the same")
}

// withoutNegativeZeros replaces them: a fraction is printed as -0, which is an
// integer when it is read again, and those have one zero. The Perl command's
// JSON has it so as well.
func withoutNegativeZeros(value any) any {
	switch v := value.(type) {
	case number:
		if v == "-0" {
			return number("0")
		}
	case []any:
		for i := range v {
			v[i] = withoutNegativeZeros(v[i])
		}
	case object:
		for key := range v {
			v[key] = withoutNegativeZeros(v[key])
		}
	}
	return value
}

// FuzzReadJSON shows that what is read is JSON to others too, and that it is
// the same when it was printed and read again.
func FuzzReadJSON(f *testing.F) {
	f.Add(`{"a":[1,{"b":"\u00e9"}],"c":1.5e3}`)
	f.Add(strings.Repeat("[", maxDepth+1))
	f.Add("-0E0")
	f.Fuzz(func(t *testing.T, text string) {
		value, err := readJSON([]byte(text))
		if err != nil {
			return
		}
		require.True(t, json.Valid([]byte(text)))
		value = withoutNegativeZeros(value)
		again, err := readJSON([]byte(prettyJSON(value)))
		require.NoError(t, err)
		require.Equal(t, value, again)
		compact, err := readJSON([]byte(jsonText(value)))
		require.NoError(t, err)
		require.Equal(t, value, compact)
		require.NotPanics(t, func() { yamlText(value) })
	})
}
