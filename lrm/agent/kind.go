package agent

import (
	"fmt"
	"regexp"

	"pveha/internal/ha"
)

// kind is what differs between the types of guests.
type kind struct {
	serviceType string // "vm" of "vm:100"
	folder      string // of the configuration, below nodes/NODE
	section     *regexp.Regexp
}

// kinds are the types of services that have guests.
var kinds = []kind{
	// Every line in brackets begins a section in a VM's configuration.
	{serviceType: "vm", folder: "qemu-server", section: regexp.MustCompile(`^\[[^\]]*\]\s*$`)},
	// In a container's, one must be a name; what is not belongs to the
	// section it stands in.
	{serviceType: "ct", folder: "lxc", section: regexp.MustCompile(`(?i)^\[(pve:pending|[a-z][a-z0-9_-]+)\]\s*$`)},
}

func kindOf(sid ha.SID) (kind, error) {
	for _, k := range kinds {
		if k.serviceType == sid.Type() {
			return k, nil
		}
	}
	return kind{}, fmt.Errorf("unknown resource type '%s'", sid.Type())
}

// ConfigName is the name of a guest's configuration file on a node, below the
// root of the cluster file system. The place of this file is the place of the
// guest. It fails for a service that is no guest.
func ConfigName(sid ha.SID, node string) (string, error) {
	k, err := kindOf(sid)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("nodes/%s/%s/%s.conf", node, k.folder, sid.Name()), nil
}
