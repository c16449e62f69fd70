package ha

// ServiceState is what the CRM has decided for a service; it stands in
// manager_status and tells the LRM of the service's node what to do.
type ServiceState string

// The service states. The transitions between them are the table in package
// crm.
const (
	Stopped             ServiceState = "stopped"               // stopped; the LRM stops it again if it runs
	RequestStop         ServiceState = "request_stop"          // the LRM shall stop it
	RequestStart        ServiceState = "request_start"         // shall start, node not chosen yet
	RequestStartBalance ServiceState = "request_start_balance" // shall move to a better node before it starts
	Started             ServiceState = "started"               // the LRM shall keep it running
	Fence               ServiceState = "fence"                 // its node is lost and must be fenced
	Recovery            ServiceState = "recovery"              // its node was fenced; a new one is wanted
	Migrate             ServiceState = "migrate"               // the LRM shall move it, running
	Relocate            ServiceState = "relocate"              // the LRM shall stop it and move it
	Freeze              ServiceState = "freeze"                // nobody touches it
	Error               ServiceState = "error"                 // a person must look at it
)

// ServiceStates lists every service state.
var ServiceStates = []ServiceState{
	Stopped, RequestStop, RequestStart, RequestStartBalance, Started, Fence,
	Recovery, Migrate, Relocate, Freeze, Error,
}

// RequestState is what a person asked for a service in resources.cfg.
type RequestState string

// The request states.
const (
	RequestStarted  RequestState = "started"
	RequestStopped  RequestState = "stopped"
	RequestDisabled RequestState = "disabled"
	RequestIgnored  RequestState = "ignored"
	// RequestEnabled is an old word for RequestStarted; readers of the
	// configuration replace it.
	RequestEnabled RequestState = "enabled"
)

// NodeState is the CRM's view of a cluster node.
type NodeState string

// The node states.
const (
	NodeOnline      NodeState = "online"      // member of the quorate partition
	NodeMaintenance NodeState = "maintenance" // member, but to be emptied of services
	NodeUnknown     NodeState = "unknown"     // not a member, may still run guests
	NodeFence       NodeState = "fence"       // to be fenced
	NodeGone        NodeState = "gone"        // no longer in the list of cluster members
)

// CRMState is the state of the cluster resource manager of one node.
type CRMState string

// The CRM states.
const (
	CRMStartup         CRMState = "startup" // before the first round, never shown
	CRMWaitForQuorum   CRMState = "wait_for_quorum"
	CRMSlave           CRMState = "slave"
	CRMMaster          CRMState = "master"
	CRMLostManagerLock CRMState = "lost_manager_lock"
)

// LRMState is the state of the local resource manager of one node.
type LRMState string

// The LRM states.
const (
	LRMStartup          LRMState = "startup" // before the first round, never shown
	LRMWaitForAgentLock LRMState = "wait_for_agent_lock"
	LRMActive           LRMState = "active"
	LRMMaintenance      LRMState = "maintenance"
	LRMLostAgentLock    LRMState = "lost_agent_lock"
)

// LRMMode tells the CRM what the LRM is about to do.
type LRMMode string

// The LRM modes.
const (
	ModeActive      LRMMode = "active"
	ModeRestart     LRMMode = "restart"  // the daemon goes and comes back: freeze its services
	ModeShutdown    LRMMode = "shutdown" // the node goes down: its services are stopped
	ModeMaintenance LRMMode = "maintenance"
	ModeDisarm      LRMMode = "disarm"
	ModeUnknown     LRMMode = "unknown" // stands for a status that is missing, never written
)

// ShutdownPolicy says what happens to the services of a node that shuts down
// (datacenter.cfg, ha: shutdown_policy).
type ShutdownPolicy string

// The shutdown policies.
const (
	PolicyConditional ShutdownPolicy = "conditional" // freeze on reboot, fail over on poweroff
	PolicyFreeze      ShutdownPolicy = "freeze"
	PolicyFailover    ShutdownPolicy = "failover"
	PolicyMigrate     ShutdownPolicy = "migrate"
)

// DisarmMode says what becomes of the services while the HA stack is disarmed.
type DisarmMode string

// The disarm modes.
const (
	DisarmFreeze DisarmMode = "freeze" // services are frozen
	DisarmIgnore DisarmMode = "ignore" // services may be handled as if they were not under HA
)

// DisarmState is the progress of disarming.
type DisarmState string

// The disarm states.
const (
	Disarming DisarmState = "disarming"
	Disarmed  DisarmState = "disarmed"
)

// ExitCode is the result of an action of the LRM on a service.
type ExitCode int

// The exit codes, as the LRM reports them in lrm_status.
const (
	ExitSuccess            ExitCode = 0
	ExitError              ExitCode = 1
	ExitTryAgain           ExitCode = 2
	ExitWrongNode          ExitCode = 3
	ExitUnknownServiceType ExitCode = 4
	ExitUnknownCommand     ExitCode = 5
	ExitInvalidParameter   ExitCode = 6
	ExitUnknownService     ExitCode = 7
	ExitIgnored            ExitCode = 8
	ExitNotRun             ExitCode = -1 // the action could not be run or was killed
)
