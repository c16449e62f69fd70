package pmxcfsio

import "context"

// IPC is what the package asks of pmxcfs beside the mount; *ipcc.Client is
// one. Answers are the texts of the virtual files. An errno that pmxcfs
// answers is reachable with errors.As; any other error means that nobody
// answered, and the mount is asked instead.
type IPC interface {
	// Versions, ClusterInfo, GuestList and Usage are .version, .members,
	// .vmlist and .rrd.
	Versions(ctx context.Context) ([]byte, error)
	ClusterInfo(ctx context.Context) ([]byte, error)
	GuestList(ctx context.Context) ([]byte, error)
	Usage(ctx context.Context) ([]byte, error)
	// Status is what a node has published under a name.
	Status(ctx context.Context, node, name string) ([]byte, error)
	// ReadFile is the content of a file; ENOENT when there is none.
	ReadFile(ctx context.Context, path string) ([]byte, error)
	// GuestProperties are lines of one guest's configuration, or of all
	// guests' with ID 0.
	GuestProperties(ctx context.Context, vmid uint32, properties []string) ([]byte, error)
}
