package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// recording is one call of the Perl command.
type recording struct {
	ID     string             `json:"id"`
	Argv   []string           `json:"argv"`
	Env    map[string]string  `json:"env"`
	Node   string             `json:"node"`
	Now    int64              `json:"now"`
	Needs  string             `json:"needs"` // "files" or "live"
	Setup  string             `json:"setup"`
	Before map[string]*string `json:"before"` // nil: no such file
	LRM    map[string]*string `json:"lrm_status"`
	After  map[string]*string `json:"files"`
	Stdout string             `json:"stdout"`
	Stderr string             `json:"stderr"`
	Exit   int                `json:"exit"`
}

// maxRecording is the longest line of a file of recordings in bytes: all files
// of a cluster twice over.
const maxRecording = 64 << 20

func load(path string) ([]recording, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var recordings []recording
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxRecording)
	for number := 1; lines.Scan(); number++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		r, err := parseRecording(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		recordings = append(recordings, r)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(recordings) == 0 {
		return nil, fmt.Errorf("%s holds no recording", path)
	}
	return recordings, nil
}

// What a recording needs.
const (
	needsFiles = "files"
	needsLive  = "live"
)

func parseRecording(line []byte) (recording, error) {
	var r recording
	if err := json.Unmarshal(line, &r); err != nil {
		return recording{}, err
	}
	if r.ID == "" || r.Node == "" || r.After == nil {
		return recording{}, errors.New("not a recording: it needs an id, a node and the files after the call")
	}
	if r.Needs != needsFiles && r.Needs != needsLive {
		return recording{}, fmt.Errorf("recording %s needs %q, which is neither %q nor %q", r.ID, r.Needs, needsFiles, needsLive)
	}
	return r, nil
}
