package playground

import (
	"encoding/json"
	"errors"
	"fmt"

	"pveha/internal/ha"
)

// Limits of a fresh cluster. More nodes than that cannot be simulated, because
// a round of all would take longer than watchdogs allow.
const (
	maxNodes  = 29
	maxGuests = 5000
)

// Sizes of the nodes and guests of a fresh cluster: cores and bytes.
const (
	gibi        = 1 << 30
	nodeCPU     = 24
	nodeMem     = 128 * gibi
	bigNodeCPU  = 192 // of nodes with more than fewGuests each
	bigNodeMem  = 1024 * gibi
	fewGuests   = 10
	guestCPU    = 4
	guestMem    = 8 * gibi
	freshWorker = 4
)

// Fresh returns the files of a cluster that boots, with guests spread over its
// nodes. Every third guest is a container.
func Fresh(nodes, guests int) (Files, error) {
	switch {
	case nodes < 1 || nodes > maxNodes:
		return nil, fmt.Errorf("a cluster has 1 to %d nodes here, not %d", maxNodes, nodes)
	case guests < 0 || guests > maxGuests:
		return nil, fmt.Errorf("a cluster has up to %d guests here, not %d", maxGuests, guests)
	}
	type object = map[string]any
	hardware, services, static, dynamic := object{}, object{}, object{}, object{}
	var power []string
	cpu, mem := nodeCPU, nodeMem
	if guests > fewGuests*nodes {
		cpu, mem = bigNodeCPU, bigNodeMem
	}
	for i := range nodes {
		name := fmt.Sprintf("node%d", i+1)
		hardware[name] = object{"power": "off", "network": "off", "maxcpu": cpu, "maxmem": mem}
		power = append(power, "power "+name+" on")
	}
	for i := range guests {
		kind := "vm"
		if i%3 == 2 {
			kind = "ct"
		}
		sid := fmt.Sprintf("%s:%d", kind, 101+i)
		services[sid] = object{"node": fmt.Sprintf("node%d", i%nodes+1), "state": ha.RequestStarted}
		static[sid] = object{"maxcpu": guestCPU, "maxmem": guestMem}
		// Some guests do more than others, so that there is a load to balance.
		dynamic[sid] = object{"cpu": 0.5 + float64((i+i/nodes)%4), "mem": (1 + (i+i/nodes)%5) * gibi}
	}
	return encodeFiles(map[string]any{
		fileCommands:   [][]string{power},
		fileHardware:   hardware,
		fileServices:   services,
		fileStatic:     static,
		fileDynamic:    dynamic,
		fileDatacenter: object{"max_workers": freshWorker},
	})
}

// encodeFiles writes each value as JSON for people to read.
func encodeFiles(values map[string]any) (Files, error) {
	files := Files{}
	for name, value := range values {
		data, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files[name] = append(data, '\n')
	}
	return files, nil
}

// errNoCluster means that a folder holds files, and none of a cluster.
var errNoCluster = errors.New("none of its files belongs to a simulated cluster")
