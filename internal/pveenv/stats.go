package pveenv

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"pveha/cfgparse"
	"pveha/crm/usage"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// Rows of usage data, as pvestatd of pve-manager writes them, with the columns
// that the schedulers need. Older rows (pve2-) are not looked at.
const (
	guestRow = "pve-vm-9.0/"
	nodeRow  = "pve-node-9.0/"

	guestStatus = 2 // run state of QEMU; only "running" is one in which it works
	guestMaxCPU = 5 // at most as many as the node has
	guestCPU    = 6 // share of guestMaxCPU
	guestMaxMem = 7
	guestMem    = 8

	nodeMaxCPU = 4
	nodeCPU    = 5 // share of nodeMaxCPU
	nodeMaxMem = 7
	nodeMem    = 8
)

// usageAge is how long usage data serve before they are asked for again, so
// that the figures of guests and nodes of one round are of one moment.
const usageAge = 2 * time.Second

// usageData is the usage data that were read last.
type usageData struct {
	rows map[string]pmxcfsio.UsageRow
	read time.Duration // when, by Boot
}

func (c *CRM) usageRows() (map[string]pmxcfsio.UsageRow, error) {
	now := c.clock.Boot()
	if c.usage.rows != nil && now-c.usage.read < usageAge {
		return c.usage.rows, nil
	}
	rows, err := c.fs.Usage(c.ctx)
	if err != nil {
		return nil, err
	}
	if rows == nil {
		rows = map[string]pmxcfsio.UsageRow{}
	}
	c.usage = usageData{rows, now}
	return rows, nil
}

// column returns a value of a row, "" when it is not known.
func column(row pmxcfsio.UsageRow, i int) string {
	if i >= len(row) || row[i] == "U" {
		return ""
	}
	return row[i]
}

// number reads a number; what is none is 0.
func number(text string) float64 {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return x
}

// memory reads an amount of memory.
func memory(text string) uint64 { return whole(number(text)) }

// whole drops the fraction of an amount, and what is no amount.
func whole(x float64) uint64 {
	switch {
	case !(x > 0): // NaN too
		return 0
	case x >= math.MaxInt64:
		return math.MaxInt64
	}
	return uint64(x)
}

// serviceType is the type of service that a guest is.
func serviceType(t pmxcfsio.GuestType) (string, bool) {
	switch t {
	case pmxcfsio.GuestQemu:
		return "vm", true
	case pmxcfsio.GuestLXC:
		return "ct", true
	case pmxcfsio.GuestOpenVZ:
	}
	return "", false
}

// guestStats returns every guest of the cluster, with the figures that a
// function works out.
func (c *CRM) guestStats(
	stats func(id uint32, t pmxcfsio.GuestType, row pmxcfsio.UsageRow) (*usage.ServiceStats, string),
) (map[ha.SID]usage.Service, error) {
	guests, err := c.fs.Guests(c.ctx)
	if err != nil {
		return nil, err
	}
	rows, err := c.usageRows()
	if err != nil {
		return nil, err
	}
	services := make(map[ha.SID]usage.Service, len(guests.ByID))
	for id, guest := range guests.ByID {
		name := strconv.FormatUint(uint64(id), 10)
		prefix, ok := serviceType(guest.Type)
		if !ok {
			continue
		}
		row := rows[guestRow+name]
		s := usage.Service{Node: guest.Node, State: ha.RequestStopped}
		if column(row, guestStatus) == "running" {
			s.State, s.Running = ha.RequestStarted, true
		}
		if stats != nil {
			s.Stats, s.Missing = stats(id, guest.Type, row)
		}
		services[ha.SID(prefix+":"+name)] = s
	}
	return services, nil
}

// BasicServices returns the guests without figures.
func (c *CRM) BasicServices() (map[ha.SID]usage.Service, error) { return c.guestStats(nil) }

// staticProperties are what of a guest's configuration says how large it is.
var staticProperties = []string{"cores", "cpulimit", "memory", "sockets", "vcpus"}

// StaticServices returns the guests with what they are configured to use.
func (c *CRM) StaticServices() (map[ha.SID]usage.Service, error) {
	properties, err := c.fs.GuestProperties(c.ctx, staticProperties)
	if err != nil {
		return nil, err
	}
	return c.guestStats(func(id uint32, t pmxcfsio.GuestType, _ pmxcfsio.UsageRow) (*usage.ServiceStats, string) {
		if t == pmxcfsio.GuestLXC {
			return staticContainer(properties[id]), ""
		}
		return staticVM(properties[id])
	})
}

// defaultMemory is the memory of a guest whose configuration says nothing, in
// MiB.
const defaultMemory = 512

// given returns the first value that is neither absent nor "0".
func given(values ...string) string {
	for _, v := range values {
		if v != "" && v != "0" {
			return v
		}
	}
	return ""
}

func staticContainer(conf map[string]string) *usage.ServiceStats {
	return &usage.ServiceStats{
		MaxCPU: number(given(conf["cpulimit"], conf["cores"])),
		MaxMem: memory(given(conf["memory"], strconv.Itoa(defaultMemory))) << 20,
	}
}

// memoryFormat is the property memory of a VM, in MiB.
var memoryFormat = cfgparse.PropertyString{
	{Name: "current", Type: cfgparse.Integer, Minimum: new(float64(16)), DefaultKey: true},
}

func staticVM(conf map[string]string) (s *usage.ServiceStats, missing string) {
	cpus := given(conf["vcpus"])
	s = &usage.ServiceStats{MaxCPU: number(cpus)}
	if cpus == "" {
		s.MaxCPU = number(given(conf["sockets"], "1")) * number(given(conf["cores"], "1"))
	}
	text, ok := conf["memory"]
	if !ok {
		text = strconv.Itoa(defaultMemory)
	}
	parts, err := memoryFormat.Parse("memory", text)
	if err != nil {
		return nil, "maxmem" // where the original gives up on the guests altogether
	}
	s.MaxMem = memory(parts["current"]) << 20
	return s, ""
}

// DynamicServices returns the guests with what they use.
func (c *CRM) DynamicServices() (map[ha.SID]usage.Service, error) {
	return c.guestStats(func(_ uint32, _ pmxcfsio.GuestType, row pmxcfsio.UsageRow) (*usage.ServiceStats, string) {
		maxCPU := number(column(row, guestMaxCPU))
		return &usage.ServiceStats{
			CPU:    number(column(row, guestCPU)) * maxCPU,
			MaxCPU: maxCPU,
			Mem:    memory(column(row, guestMem)),
			MaxMem: memory(column(row, guestMaxMem)),
		}, ""
	})
}

// DynamicNodes returns the nodes with what is in use of them.
func (c *CRM) DynamicNodes() (map[string]usage.NodeStats, error) {
	rows, err := c.usageRows()
	if err != nil {
		return nil, err
	}
	nodes := map[string]usage.NodeStats{}
	for key, row := range rows {
		name, ok := strings.CutPrefix(key, nodeRow)
		if !ok || name == "" {
			continue
		}
		maxCPU := math.Trunc(number(column(row, nodeMaxCPU)))
		nodes[name] = usage.NodeStats{
			CPU:    number(column(row, nodeCPU)) * maxCPU,
			MaxCPU: maxCPU,
			Mem:    memory(column(row, nodeMem)),
			MaxMem: memory(column(row, nodeMaxMem)),
		}
	}
	return nodes, nil
}

// StaticNodes returns the nodes with their size, as far as they have published
// it.
func (c *CRM) StaticNodes() (map[string]usage.NodeStats, error) {
	members, err := c.Members()
	if err != nil {
		return nil, err
	}
	nodes := map[string]usage.NodeStats{}
	for _, name := range sortedKeys(members) {
		var info struct{ CPUs, Memory looseNumber }
		switch err := c.published(name, "static-info", &info); {
		case err == nil:
			nodes[name] = usage.NodeStats{MaxCPU: float64(info.CPUs), MaxMem: whole(float64(info.Memory))}
		case errors.Is(err, errNotJSON):
			c.log(ha.LevelErr, "unable to decode static node info for '%s' - %v", name, err)
		case !errors.Is(err, pmxcfsio.ErrAbsent):
			return nil, err
		}
	}
	return nodes, nil
}

// looseNumber is a number in JSON that may be written as a string: Perl makes
// no difference.
type looseNumber float64

// UnmarshalJSON reads either.
func (n *looseNumber) UnmarshalJSON(text []byte) error {
	*n = looseNumber(number(strings.Trim(string(text), `"`)))
	return nil
}
