package usage

import "math"

// NodeStats is the size of a node and what is in use of it.
type NodeStats struct {
	CPU    float64 // cores in use; dynamic only
	MaxCPU float64 // cores, 0 when not known; a fraction is dropped
	Mem    uint64  // bytes in use; dynamic only
	MaxMem uint64  // bytes, 0 when not known
}

// ServiceStats is what a guest uses and what it may use.
type ServiceStats struct {
	CPU    float64 // cores in use; dynamic only
	MaxCPU float64 // cores assigned, or the CPU limit; 0 for no limit
	Mem    uint64  // bytes in use; dynamic only
	MaxMem uint64  // bytes assigned
}

// isFinite tells whether the figures can be added up.
func (s *ServiceStats) isFinite() bool {
	return isFinite(s.CPU) && isFinite(s.MaxCPU)
}

// load is how much of a node is in use.
type load struct {
	cpu    float64 // cores
	maxCPU float64
	mem    uint64 // bytes
	maxMem uint64
}

// shares is how much of a node is in use, 1 for fully used. It is more when
// guests were promised more than the node has.
type shares struct{ cpu, mem float64 }

func (l load) shares() shares {
	return shares{cpu: l.cpu / l.maxCPU, mem: float64(l.mem) / float64(l.maxMem)}
}

// total is the load of the node as a whole. The conversion keeps the halving,
// which compilers do by a product, out of a fused multiply-add (see package
// topsis).
func (s shares) total() float64 { return float64((s.cpu + s.mem) / 2) }

// startCPU is how many cores a guest that starts is counted with: all it may
// use. A guest without a limit may use the whole node.
func (l load) startCPU(s ServiceStats) float64 {
	if s.MaxCPU == 0 {
		return l.maxCPU
	}
	return s.MaxCPU
}

// start returns the load with one more guest started.
func (l load) start(s ServiceStats) load {
	l.cpu += l.startCPU(s)
	l.mem += s.MaxMem
	return l
}

// arrive returns the load with a running guest moved here. It goes on using
// what it uses now.
func (l load) arrive(s ServiceStats) load {
	l.cpu += s.CPU
	l.mem += s.Mem
	return l
}

// leave returns the load with a running guest moved away. The figures of node
// and guest were not taken at one moment, so the rest is kept from falling
// below nothing.
func (l load) leave(s ServiceStats) load {
	l.cpu = max(0, l.cpu-s.CPU)
	l.mem -= min(l.mem, s.Mem)
	return l
}

func isFinite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
