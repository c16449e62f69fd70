package hacfg

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"pveha/cfgparse"
	"pveha/internal/ha"
)

// Resource is one section of resources.cfg. What is nil or "" is not given in
// the file; Service fills in the defaults.
type Resource struct {
	SID         ha.SID
	Ordinal     int // position in the file, from 1; 0 for a new section, which comes last
	State       ha.RequestState
	Group       string
	Failback    *bool
	MaxRestart  *int
	MaxRelocate *int
	Comment     string

	huge map[string]string // text of counts beyond the range of int, by property
}

// Service returns what the daemons need to know of the resource, with the
// defaults filled in and the old word for started replaced. Node stays empty:
// the file does not know it.
func (r *Resource) Service() ha.ServiceConfig {
	service := ha.ServiceConfig{
		State:       r.State,
		Group:       r.Group,
		Failback:    r.Failback == nil || *r.Failback,
		MaxRestart:  ha.DefaultMaxRestart,
		MaxRelocate: ha.DefaultMaxRelocate,
	}
	if service.State == "" || service.State == ha.RequestEnabled {
		service.State = ha.RequestStarted
	}
	if r.MaxRestart != nil {
		service.MaxRestart = *r.MaxRestart
	}
	if r.MaxRelocate != nil {
		service.MaxRelocate = *r.MaxRelocate
	}
	return service
}

// Resources is the typed view of resources.cfg.
type Resources struct {
	Digest string // SHA-1 of the file, hexadecimal
	ByID   map[ha.SID]*Resource
}

// resourceTypeError is the resource type that was refused.
type resourceTypeError string

func (e resourceTypeError) Error() string { return "no such resource type '" + string(e) + "'" }

// guestProperties are the properties of both resource types.
var guestProperties = []cfgparse.Property{
	{Name: "state", Type: cfgparse.String, Enum: []string{
		string(ha.RequestStarted), string(ha.RequestStopped), string(ha.RequestEnabled),
		string(ha.RequestDisabled), string(ha.RequestIgnored),
	}},
	{Name: "group", Type: cfgparse.String, Format: checkConfigID},
	{Name: "comment", Type: cfgparse.String, MaxLength: maxComment},
	{Name: "failback", Type: cfgparse.Boolean},
	{Name: "max_restart", Type: cfgparse.Integer, Minimum: bound(0)},
	{Name: "max_relocate", Type: cfgparse.Integer, Minimum: bound(0)},
}

var resourcesSchema = cfgparse.NewSchema(cfgparse.Schema{
	Types: []cfgparse.SectionType{
		{Name: "vm", Properties: guestProperties},
		{Name: "ct", Properties: guestProperties},
	},
	Reserved: []string{"sid", "type"},
	CheckHeader: func(typ, name string) (string, error) {
		if typ != "vm" && typ != "ct" {
			return typ + ":" + name, resourceTypeError(typ)
		}
		return typ + ":" + name, checkVMID(name)
	},
	Header: func(sid string) string {
		_, name, _ := strings.Cut(sid, ":")
		return name
	},
})

// ParseResources reads resources.cfg. It returns the resources that passed
// their checks, and every problem; file is the name by which the problems call
// the file.
func ParseResources(file string, raw []byte) (*Resources, []Problem) {
	config, problems := resourcesSchema.Read(file, raw)
	resources := &Resources{
		Digest: config.Digest,
		ByID:   make(map[ha.SID]*Resource, len(config.Sections)),
	}
	for _, entry := range config.Sections {
		resources.ByID[ha.SID(entry.ID)] = newResource(entry)
	}
	return resources, problems
}

func newResource(entry *cfgparse.Entry) *Resource {
	r := &Resource{SID: ha.SID(entry.ID), Ordinal: entry.Ordinal, Failback: flag(entry, "failback")}
	state, _ := entry.Get("state")
	r.State = ha.RequestState(state)
	r.Group, _ = entry.Get("group")
	r.Comment, _ = entry.Get("comment")
	r.MaxRestart = r.count(entry, "max_restart")
	r.MaxRelocate = r.count(entry, "max_relocate")
	return r
}

// count reads a count; one that int cannot hold becomes the largest int, and
// its text is kept.
func (r *Resource) count(entry *cfgparse.Entry, key string) *int {
	text, ok := entry.Get(key)
	if !ok {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		n = math.MaxInt
		if r.huge == nil {
			r.huge = map[string]string{}
		}
		r.huge[key] = text
	}
	return &n
}

// Write prints the resources in canonical form. A resource with the ordinal 0
// comes last.
func (r *Resources) Write() ([]byte, error) {
	config := cfgparse.NewConfig()
	config.Sections = make([]*cfgparse.Entry, 0, len(r.ByID))
	for _, sid := range slices.Sorted(maps.Keys(r.ByID)) {
		config.Sections = append(config.Sections, r.ByID[sid].entry(sid))
	}
	return resourcesSchema.Write(config)
}

func (r *Resource) entry(sid ha.SID) *cfgparse.Entry {
	entry := &cfgparse.Entry{Type: sid.Type(), ID: string(sid), Ordinal: r.Ordinal}
	setText(entry, "state", string(r.State))
	setText(entry, "group", r.Group)
	setText(entry, "comment", r.Comment)
	setFlag(entry, "failback", r.Failback)
	r.setCount(entry, "max_restart", r.MaxRestart)
	r.setCount(entry, "max_relocate", r.MaxRelocate)
	return entry
}

func (r *Resource) setCount(entry *cfgparse.Entry, key string, n *int) {
	if n == nil {
		return
	}
	if text, ok := r.huge[key]; ok && *n == math.MaxInt {
		entry.Set(key, text)
		return
	}
	entry.Set(key, strconv.Itoa(*n))
}
