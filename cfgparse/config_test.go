package cfgparse

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func limit(f float64) *float64 { return &f }

// shelves is a schema of a file that exists nowhere.
var shelves = NewSchema(Schema{
	Types: []SectionType{
		{Name: "shelf", Properties: []Property{
			{Name: "wood", Type: String, Required: true, Enum: []string{"oak", "ash"}},
			{Name: "boards", Type: Integer, Minimum: limit(1), Maximum: limit(9)},
			{Name: "locked", Type: Boolean},
			{Name: "disable", Type: Boolean},
			{Name: "comment", Type: String, MaxLength: 5},
			{Name: "books", Type: String, Format: func(v string) error {
				if v == "none" {
					return errors.New("no books")
				}
				return nil
			}},
		}},
		{Name: "box", Properties: []Property{{Name: "size", Type: Number}}},
	},
	Reserved: []string{"type", "name"},
	CheckHeader: func(_, id string) (string, error) {
		if id == "bad" {
			return id, errors.New("bad ID")
		}
		return id, nil
	},
})

func warnings(problems []Problem) []string {
	var list []string
	for i := range problems {
		list = append(list, problems[i].Warning())
	}
	return list
}

func TestEverythingWrongIsReportedInOrder(t *testing.T) {
	_, problems := shelves.Read("f", []byte(`junk
shelf: a
	wood oak
	boards 0
	boards 10
	boards x
	boards +7
	boards 8
	locked yes
	locked
	comment 123456
	books none
	shelf a
	name x
	type box
	type shelf
	type shelf
	comment
not here
# a comment
shelf: x

shelf: b
	wood elm

chest: c
	wood oak

Shelf: bad
	junk
`))
	require.Equal(t, []string{
		"file f line 1 - ignore config line: junk\n",
		"file f line 4 (section 'a') - unable to parse value of 'boards': value must have a minimum value of 1\n",
		"file f line 5 (section 'a') - unable to parse value of 'boards': value must have a maximum value of 9\n",
		"file f line 6 (section 'a') - unable to parse value of 'boards': type check ('integer') failed - got 'x'\n",
		"file f line 8 (section 'a') - unable to parse value of 'boards': duplicate attribute\n",
		"file f line 9 (section 'a') - unable to parse value of 'locked': type check ('boolean') failed - got 'yes'\n",
		"file f line 11 (section 'a') - unable to parse value of 'comment': value may only be 5 characters long\n",
		"file f line 12 (section 'a') - unable to parse value of 'books': invalid format - no books\n\n",
		"file f line 13 (section 'a') - unable to parse value of 'shelf': unknown property type\n",
		"file f line 14 (section 'a') - unable to parse value of 'name': unexpected property 'name'\n",
		"file f line 15 (section 'a') - unable to parse value of 'type': unexpected property 'type'\n",
		"file f line 17 (section 'a') - unable to parse value of 'type': duplicate attribute\n",
		"file f line 18 (section 'a') - unable to parse value of 'comment': got undefined value\n",
		"file f line 19 (section 'a') - ignore config line: not here\n",
		"file f line 21 (section 'a') - ignore config line: shelf: x\n",
		"file f line 24 (section 'b') - unable to parse value of 'wood': value 'elm' does not have a value in the enumeration 'oak, ash'\n",
		"file f line 24 (skip section 'b'): missing value for required option 'wood'\n",
		"file f line 26 (skip section 'c'): unsupported type 'chest'\n",
		"file f line 29 (skip section 'bad'): bad ID\n",
	}, warnings(problems))
}

func TestProblemsTellTheirPlace(t *testing.T) {
	_, problems := shelves.Read("f", []byte("shelf: a\n\n\njunk\nshelf: b\n\twood oak\n\tbooks none\n"))
	require.Len(t, problems, 3)
	broken, ignored, value := problems[0], problems[1], problems[2]
	require.Equal(t, BrokenSection, broken.Kind)
	require.Equal(t, "a", broken.Section())
	require.Equal(t, 1, broken.Line())
	require.Equal(t, "missing value for required option 'wood'", broken.Message())

	require.Equal(t, IgnoredLine, ignored.Kind)
	require.Equal(t, "file f line 4", ignored.Context())
	require.Equal(t, "ignore config line: junk", ignored.Message())
	require.Equal(t, "file f line 4 - ignore config line: junk", ignored.Error())

	require.Equal(t, BadValue, value.Kind)
	require.Equal(t, "f", value.File())
	require.Equal(t, "books", value.Key())
	require.Equal(t, "invalid format - no books\n\n", value.Reason())
	require.Equal(t, "invalid format - no books", value.Message())
}

func TestLastSectionOfAnIDCounts(t *testing.T) {
	c, _ := shelves.Read("f", []byte("shelf: a\n\twood oak\n\nbox: b\n\nshelf: a\n\twood ash\n\nshelf: c\n\nshelf: c\n\twood oak\n\nshelf: b\n\n"))
	require.Equal(t, map[string]int{"b": 6}, c.Broken)
	var ids []string
	for _, entry := range c.Sections {
		ids = append(ids, entry.ID)
	}
	require.Equal(t, []string{"a", "c"}, ids)
	wood, ok := c.Lookup("a").Get("wood")
	require.True(t, ok)
	require.Equal(t, "ash", wood)
	require.Equal(t, 3, c.Lookup("a").Ordinal)
	require.Equal(t, 5, c.Lookup("c").Ordinal)
	require.Nil(t, c.Lookup("b"))
}

func TestCanonicalFormHasOneOrder(t *testing.T) {
	c, problems := shelves.Read("f", []byte("BOX:z\n size 1.5\n\n# gone\nshelf:  y\n  locked\n disable 1\n  books  two  words \n wood oak\n  boards 007\n comment hi\n\n"))
	require.Empty(t, problems)
	out, err := shelves.Write(c)
	require.NoError(t, err)
	require.Equal(t, "box: z\n\tsize 1.5\n\nshelf: y\n\tcomment hi\n\tdisable\n\twood oak\n\tboards 7\n\tbooks two  words\n\tlocked 1\n\n", string(out))
}

func TestFalseFlagAndCommentZeroAreNotWritten(t *testing.T) {
	c, _ := shelves.Read("f", []byte("shelf: y\n\twood oak\n\tdisable 0\n\tcomment 0\n\tlocked 0\n"))
	out, err := shelves.Write(c)
	require.NoError(t, err)
	require.Equal(t, "shelf: y\n\twood oak\n\tlocked 0\n\n", string(out))
}

func TestBrokenSectionForbidsToWrite(t *testing.T) {
	c, _ := shelves.Read("f", []byte("shelf: y\n\nbox: a\n\nshelf: b\n\n"))
	out, err := shelves.Write(c)
	require.Nil(t, out)
	require.EqualError(t, err, "unknown section type '': section 'b', 'y' failed its checks, correct or remove it first")
	require.Equal(t, "unknown section type ''\n", Reason(err))
}

func TestWhatCannotBeWrittenIsRefused(t *testing.T) {
	c := NewConfig()
	entry := &Entry{Type: "shelf", ID: "a"}
	c.Sections = []*Entry{entry}
	_, err := shelves.Write(c)
	require.EqualError(t, err, "section 'a' - missing value for required option 'wood'")
	entry.Set("wood", "oak\nlocked 1")
	_, err = shelves.Write(c)
	require.EqualError(t, err, "property 'wood' contains a line feed")
	entry.Type = "chest"
	_, err = shelves.Write(c)
	require.EqualError(t, err, "unknown section type 'chest'")
}

func TestChangesAreCheckedAndWhole(t *testing.T) {
	entry, err := shelves.Create("shelf", "a", map[string]string{"wood": "oak", "boards": "+3"})
	require.NoError(t, err)
	require.NoError(t, shelves.Apply(entry, Change{Set: map[string]string{"type": "shelf", "locked": "1"}, Delete: []string{"boards"}}))
	_, ok := entry.Get("boards")
	require.False(t, ok)

	before := *entry
	for want, change := range map[string]Change{
		"property 'boards': value must have a minimum value of 1":         {Set: map[string]string{"boards": "0", "books": "x"}},
		"property 'books': invalid format - no books":                     {Set: map[string]string{"books": "none"}},
		"unexpected property 'type'":                                      {Set: map[string]string{"type": "box"}},
		"unexpected property 'size'":                                      {Set: map[string]string{"size": "1"}},
		"no such option 'size'":                                           {Set: map[string]string{"books": "x"}, Delete: []string{"size"}},
		"unable to delete required option 'wood'":                         {Set: map[string]string{"books": "x"}, Delete: []string{"locked", "wood"}},
		"property 'comment': property contains a line feed":               {Set: map[string]string{"comment": "a\rb"}},
		"property 'locked': type check ('boolean') failed - got 'really'": {Set: map[string]string{"locked": "really"}},
	} {
		require.EqualError(t, shelves.Apply(entry, change), want)
		require.Equal(t, before, *entry)
	}
	_, err = shelves.Create("shelf", "b", nil)
	require.EqualError(t, err, "missing value for required option 'wood'")
	require.EqualError(t, Change{Set: map[string]string{"a": ""}, Delete: []string{"a"}}.Conflict(),
		"cannot set and delete property 'a' at the same time!")
}

func TestDigestOfAnEditorIsCompared(t *testing.T) {
	require.NoError(t, CheckDigest("a", "a"))
	require.NoError(t, CheckDigest("a", ""))
	require.NoError(t, CheckDigest("", "a"))
	require.EqualError(t, CheckDigest("a", "b"), "detected modified configuration - file changed by other user? Try again.")
}
