package ipcserve

import (
	"context"

	"pveha/compat/cfsemu"
	"pveha/pmxcfsio/ipcc"
)

// handler answers a node's requests; who asks and how was checked before.
type handler struct{ node *cfsemu.Node }

var _ ipcc.Handler = handler{}

func (h handler) Versions(context.Context, ipcc.Caller) ([]byte, error) { return h.node.FSVersion() }

func (h handler) ClusterInfo(context.Context, ipcc.Caller) ([]byte, error) {
	return h.node.ClusterInfo()
}

func (h handler) GuestList(context.Context, ipcc.Caller) ([]byte, error) { return h.node.GuestList() }

func (h handler) Usage(context.Context, ipcc.Caller) ([]byte, error) { return h.node.RRDDump() }

func (h handler) SetStatus(_ context.Context, _ ipcc.Caller, name string, value []byte) error {
	return h.node.SetStatus(name, value)
}

func (h handler) Status(_ context.Context, _ ipcc.Caller, node, name string) ([]byte, error) {
	return h.node.Status(node, name)
}

func (h handler) ReadFile(_ context.Context, _ ipcc.Caller, path string) ([]byte, error) {
	return h.node.Config(path)
}

func (h handler) Log(_ context.Context, caller ipcc.Caller, entry ipcc.LogEntry) error {
	return h.node.Log(entry.Ident, entry.Tag, uint32(caller.PID), entry.Priority, entry.Message)
}

func (h handler) ClusterLog(_ context.Context, _ ipcc.Caller, user string, limit uint32) ([]byte, error) {
	return h.node.ClusterLog(user, limit)
}

func (h handler) GuestProperty(_ context.Context, _ ipcc.Caller, vmid uint32, property string) ([]byte, error) {
	return h.node.GuestProperties(vmid, property)
}

func (h handler) GuestProperties(_ context.Context, _ ipcc.Caller, vmid uint32, properties []string) ([]byte, error) {
	return h.node.GuestProperties(vmid, properties...)
}
