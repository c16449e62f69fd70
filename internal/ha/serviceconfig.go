package ha

// ServiceConfig is what the daemons need to know of one configured service:
// its section in resources.cfg with the defaults filled in, and the place of
// its guest.
type ServiceConfig struct {
	Node        string       // where the guest's configuration is
	State       RequestState // RequestEnabled already replaced
	Group       string       // HA group, "" for none; of clusters not yet migrated to rules
	Failback    bool         // go back to a preferred node when it returns
	MaxRestart  int          // tries to start again on a node after a failed start
	MaxRelocate int          // tries on other nodes after that
}

// DefaultMaxRestart and DefaultMaxRelocate stand for an absent value in
// resources.cfg.
const (
	DefaultMaxRestart  = 1
	DefaultMaxRelocate = 1
)
