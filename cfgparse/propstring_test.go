package cfgparse

import (
	"testing"

	"github.com/stretchr/testify/require"
)

var lamp = PropertyString{
	{Name: "colour", Type: String, Required: true, DefaultKey: true, Enum: []string{"red", "green"}},
	{Name: "bright", Type: Number, Maximum: limit(10), Requires: "on"},
	{Name: "on", Type: Boolean},
}

func TestPropertyStringsAreTakenApart(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"red":                         {"colour": "red"},
		"colour=green,on=YES":         {"colour": "green", "on": "1"},
		",red,,bright=.5e1,on=off, ,": {"colour": "red", "bright": ".5e1", "on": "0"},
	} {
		values, err := lamp.Parse("lamp", text)
		require.NoError(t, err)
		require.Equal(t, want, values)
	}
}

func TestFailuresInPropertyStringsAreTold(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "format error\nlamp.colour: property is missing and it is not optional\n",
		"blue":                 "format error\nlamp.colour: value 'blue' does not have a value in the enumeration 'red, green'\n",
		"red,green":            "duplicate key in comma-separated list property: colour\n",
		"colour=red,green":     "duplicate key in comma-separated list property: colour\n",
		"red,colour=red":       "duplicate key in comma-separated list property: colour\n",
		"red,on=":              "missing key in comma-separated list property\n",
		"red,=1":               "missing key in comma-separated list property\n",
		"red,bright=3":         "format error\nlamp.on: missing property required by 'lamp.bright'\n",
		"red,on=1,bright=11":   "format error\nlamp.bright: value must have a maximum value of 10\n",
		"red,on=maybe,bright=": "missing key in comma-separated list property\n",
		"red,on=maybe,x=1": "format error\nlamp.on: type check ('boolean') failed - got 'maybe'\n" +
			"lamp.x: property is not defined in schema and the schema does not allow additional properties\n",
	} {
		_, err := lamp.Parse("lamp", text)
		require.Error(t, err, text)
		require.Equal(t, want, Reason(err), text)
	}
	_, err := PropertyString{{Name: "a", Type: String}}.Parse("p", "x")
	require.EqualError(t, err, "value without key, but schema does not define a default key")
}

func TestKeyValueFilesAreRead(t *testing.T) {
	properties := []Property{
		{Name: "lamp", Type: String, Format: lamp.Format("lamp")},
		{Name: "count", Type: Integer, Minimum: limit(1)},
		{Name: "flag", Type: Boolean},
	}
	values, problems := ReadKeyValues(properties, "f", []byte("# c\n  count:7\r\ngarbage\n\n \t\ncount: 8 \nflag: on\nlamp: blue\nx:: y\n : z\na b: c\n"))
	require.Equal(t, map[string]string{"count": "8", "flag": "1"}, values)
	require.Equal(t, []string{
		"ignore config line: garbage\n",
		"ignore config line: : z\n",
		"ignore config line: a b: c\n",
		"parse error in 'f' - 'lamp': invalid format - format error\nlamp.colour: value 'blue' does not have a value in the enumeration 'red, green'\n\n",
		"parse error in 'f' - 'x': property is not defined in schema and the schema does not allow additional properties\n",
	}, warnings(problems))
	require.Equal(t, 8, problems[3].Line())
	require.Equal(t, "lamp", problems[3].Key())
}

func TestFileOfWhiteSpaceIsOneLine(t *testing.T) {
	for text, want := range map[string][]string{
		"":          nil,
		"\n\n":      nil,
		" ":         {"ignore config line:  \n"},
		"\n \t\n\n": {"ignore config line: \t\n"},
		"\r\n":      {"ignore config line: \r\n"},
	} {
		values, problems := ReadKeyValues(nil, "f", []byte(text))
		require.Empty(t, values)
		require.Equal(t, want, warnings(problems), "%q", text)
	}
}
