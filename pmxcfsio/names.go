package pmxcfsio

import "fmt"

// The files of the HA stack.
const (
	ResourcesFile     = "ha/resources.cfg"
	GroupsFile        = "ha/groups.cfg"
	RulesFile         = "ha/rules.cfg"
	FenceFile         = "ha/fence.cfg"
	ManagerStatusFile = "ha/manager_status"
	CommandsFile      = "ha/crm_commands"
	DatacenterFile    = "datacenter.cfg"
)

// haFolder is where most of them are, and lrmStatus the one in a node's folder.
const (
	haFolder  = "ha"
	lrmStatus = "lrm_status"
)

// LRMStatusFile returns the status file of a node's LRM.
func LRMStatusFile(node string) string { return "nodes/" + node + "/" + lrmStatus }

// The locks of the HA stack.
const (
	ManagerLock = "ha_manager_lock" // for [FS.NodeLock]
	HADomain    = "ha"              // for [FS.Domain]
)

// AgentLock returns the lock of a node's LRM.
func AgentLock(node string) string { return "ha_agent_" + node + "_lock" }

// LockPath returns the folder that is there while somebody has a lock of this
// name.
func LockPath(name string) string { return lockFolder + "/" + name }

// GuestType is what kind of guest a configuration is of, and the name of the
// folder of such configurations, but for "qemu".
type GuestType string

// The types in the guest list.
const (
	GuestQemu   GuestType = "qemu"
	GuestLXC    GuestType = "lxc"
	GuestOpenVZ GuestType = "openvz"
)

// GuestFile returns the configuration file of a guest.
func GuestFile(node string, t GuestType, id uint32) string {
	folder := string(t)
	if t == GuestQemu {
		folder = "qemu-server"
	}
	return fmt.Sprintf("nodes/%s/%s/%d.conf", node, folder, id)
}
