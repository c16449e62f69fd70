package formats

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
)

// vector is one recording.
type vector struct {
	id, kind, input string
	// expected is what the Perl stack made of the input, by field.
	expected map[string]any
	// unordered names fields whose order the Perl stack does not fix.
	unordered []string
}

// outcome is what this project makes of an input, in the fields of a vector.
type outcome map[string]any

// Check replays the vectors in the files and reports each one that comes out
// differently, with its ID and the places of difference. It fails when a file
// cannot be read, holds no vector, or holds one of an unknown kind.
func Check(paths []string, out io.Writer) (passed, failed int, err error) {
	for _, path := range paths {
		vectors, err := load(path)
		if err != nil {
			return passed, failed, err
		}
		for _, v := range vectors {
			differences := v.replay()
			if len(differences) == 0 {
				passed++
				continue
			}
			failed++
			if err := report(out, v, differences); err != nil {
				return passed, failed, err
			}
		}
	}
	return passed, failed, nil
}

func report(out io.Writer, v vector, differences []string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: differs\n", v.id)
	for _, difference := range differences {
		fmt.Fprintf(&b, "    %s\n", difference)
	}
	_, err := out.Write(b.Bytes())
	return err
}

// maxVector is the longest line of a vector file in bytes: the largest file of
// the cluster, written out several times over.
const maxVector = 64 << 20

func load(path string) ([]vector, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var vectors []vector
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxVector)
	for number := 1; lines.Scan(); number++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		v, err := parseVector(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		vectors = append(vectors, v)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(vectors) == 0 {
		return nil, fmt.Errorf("%s holds no vector", path)
	}
	return vectors, nil
}

func parseVector(line []byte) (vector, error) {
	var head struct {
		ID        string   `json:"id"`
		Kind      string   `json:"kind"`
		Input     *string  `json:"input"`
		Bytes     []byte   `json:"input_base64"`
		Unordered []string `json:"unordered_in_perl"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return vector{}, err
	}
	if head.Input == nil && head.Bytes != nil {
		input := string(head.Bytes)
		head.Input = &input
	}
	if head.ID == "" || head.Input == nil {
		return vector{}, errors.New("not a vector: it needs an id and an input")
	}
	if replayers[head.Kind] == nil {
		return vector{}, fmt.Errorf("vector %s is of the unknown kind %q", head.ID, head.Kind)
	}
	v := vector{id: head.ID, kind: head.Kind, input: *head.Input, unordered: head.Unordered}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	if err := decoder.Decode(&v.expected); err != nil {
		return vector{}, err
	}
	for _, key := range []string{"id", "kind", "input", "input_base64", "unordered_in_perl"} {
		delete(v.expected, key)
	}
	return v, nil
}

// replay returns the differences between what the vector says and what comes
// out here.
func (v vector) replay() []string {
	actual := replayers[v.kind](v.input)
	var fields []string
	for field := range v.expected {
		fields = append(fields, field)
	}
	for field := range actual {
		// A failure is never left out of a vector; other fields may be.
		if _, ok := v.expected[field]; !ok && isFailure(field) {
			fields = append(fields, field)
		}
	}
	sort.Strings(fields)
	var differences []string
	for _, field := range fields {
		expected, got := v.expected[field], plain(actual[field])
		if v.kind == "datacenter" && field == "parsed" {
			expected = byValue(expected)
		}
		if slices.Contains(v.unordered, field) {
			expected, got = unorder(expected), unorder(got)
		}
		differences = compare(differences, field, expected, got)
	}
	return differences
}

func isFailure(field string) bool { return field == "error" || field == "write_error" }
