package pmxcfsio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Versions are the change counters of this node's pmxcfs. They start anew when
// it is restarted, which shows in StartTime.
type Versions struct {
	StartTime int64            // when pmxcfs was started, seconds since 1970
	Members   int64            // counter of the membership
	Guests    int64            // counter of the guest list
	Files     map[string]int64 // by name: counters of the files that pmxcfs counts
	// KV counts what nodes publish: by node, then by name ("kv/static-info").
	KV map[string]map[string]int64
}

// decode parses a JSON text of pmxcfs. Over the IPC it may end in zero bytes.
func decode(text []byte, into any) error {
	return json.Unmarshal(bytes.TrimRight(text, "\x00"), into)
}

func parseVersions(text []byte) (Versions, error) {
	var raw map[string]json.RawMessage
	if err := decode(text, &raw); err != nil {
		return Versions{}, err
	}
	v := Versions{Files: make(map[string]int64, len(raw))}
	named := map[string]*int64{"starttime": &v.StartTime, "clinfo": &v.Members, "vmlist": &v.Guests}
	for key, value := range raw {
		if key == "kvstore" {
			if err := json.Unmarshal(value, &v.KV); err != nil {
				return Versions{}, fmt.Errorf("kvstore: %w", err)
			}
			continue
		}
		var n int64
		if err := json.Unmarshal(value, &n); err != nil {
			return Versions{}, fmt.Errorf("%s: %w", key, err)
		}
		if p := named[key]; p != nil {
			*p = n
		} else {
			v.Files[key] = n
		}
	}
	if v.StartTime == 0 {
		return Versions{}, errors.New("no starttime")
	}
	return v, nil
}

// flag is 0 or 1.
type flag bool

func (f *flag) UnmarshalJSON(text []byte) error {
	n, err := strconv.Atoi(string(text))
	*f = n != 0
	return err
}

func parseMembers(text []byte) (Members, error) {
	var raw struct {
		NodeName string `json:"nodename"`
		Version  int64  `json:"version"`
		Cluster  *struct {
			Name    string `json:"name"`
			Version int64  `json:"version"`
			Nodes   int    `json:"nodes"`
			Quorate flag   `json:"quorate"`
		} `json:"cluster"`
		Nodes map[string]struct {
			ID     int    `json:"id"`
			Online flag   `json:"online"`
			IP     string `json:"ip"`
		} `json:"nodelist"`
	}
	if err := decode(text, &raw); err != nil {
		return Members{}, err
	}
	if raw.NodeName == "" {
		return Members{}, errors.New("no nodename")
	}
	m := Members{Node: raw.NodeName, Version: raw.Version, Nodes: make(map[string]Member, len(raw.Nodes))}
	if c := raw.Cluster; c != nil {
		m.Cluster = &Cluster{Name: c.Name, Version: c.Version, Nodes: c.Nodes, Quorate: bool(c.Quorate)}
	}
	for name, n := range raw.Nodes {
		m.Nodes[name] = Member{ID: n.ID, Online: bool(n.Online), IP: n.IP}
	}
	return m, nil
}

func parseGuests(text []byte) (Guests, error) {
	var raw struct {
		Version *int64 `json:"version"`
		IDs     map[uint32]struct {
			Node    string    `json:"node"`
			Type    GuestType `json:"type"`
			Version int64     `json:"version"`
		} `json:"ids"`
	}
	if err := decode(text, &raw); err != nil {
		return Guests{}, err
	}
	if raw.Version == nil {
		return Guests{}, errors.New("no version")
	}
	g := Guests{Version: *raw.Version, ByID: make(map[uint32]Guest, len(raw.IDs))}
	for id, guest := range raw.IDs {
		g.ByID[id] = Guest{Node: guest.Node, Type: guest.Type, Version: guest.Version}
	}
	return g, nil
}

// UsageRow is what follows the key in a line of usage data, split at its
// colons. "U" stands for unknown.
type UsageRow []string

// parseUsage leaves out lines that the Perl stack leaves out: without a key,
// with less than two values, and one that does not end.
func parseUsage(text []byte) (map[string]UsageRow, error) {
	rows := map[string]UsageRow{}
	for line := range strings.Lines(string(bytes.TrimRight(text, "\x00"))) {
		line, whole := strings.CutSuffix(line, "\n")
		fields := strings.Split(line, ":")
		for len(fields) > 0 && fields[len(fields)-1] == "" {
			fields = fields[:len(fields)-1] // as Perl's split does
		}
		if whole && len(fields) > 2 && fields[0] != "" {
			rows[fields[0]] = fields[1:]
		}
	}
	return rows, nil
}
