package demo

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// storyNodes are the nodes of a story.
var storyNodes = []string{"node1", "node2", "node3"}

const storyGuests = 6

// Story makes up a scenario from a seed: three nodes and six guests start, one
// node loses its network, is fenced, its guests recover elsewhere, and it
// returns. The seed decides which node it is, what the guests are, where they
// start, and whether they prefer a node.
func Story(seed uint64) (name string, files map[string][]byte) {
	r := rand.New(rand.NewPCG(seed, 0))
	victim := storyNodes[r.IntN(len(storyNodes))]

	services := map[string]map[string]string{}
	var rules strings.Builder
	for i, slot := range r.Perm(storyGuests) {
		kind := "vm"
		if r.IntN(3) == 0 {
			kind = "ct"
		}
		sid := fmt.Sprintf("%s:%d", kind, 101+i)
		node := storyNodes[slot%len(storyNodes)]
		services[sid] = map[string]string{"node": node, "state": "started"}
		if r.IntN(2) == 0 {
			fmt.Fprintf(&rules, "node-affinity: home-of-%s-%d\n\tnodes %s\n\tresources %s\n\n", kind, 101+i, node, sid)
		}
	}
	steps := [][]string{
		{"power node1 on", "power node2 on", "power node3 on"},
		{},
		{"network " + victim + " off"},
		{"delay 200"},
		{"power " + victim + " on"},
	}
	return fmt.Sprintf("story %d: %s loses its network", seed, victim), map[string][]byte{
		"cmdlist":        encode(steps),
		"service_config": encode(services),
		"rules_config":   []byte(rules.String()),
	}
}

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil { // maps and slices of strings always encode
		panic(err)
	}
	return data
}
