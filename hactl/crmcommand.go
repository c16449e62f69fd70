package hactl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pveha/cfgparse/hacfg"
	"pveha/crm/rules"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// managed tells whether the HA stack looks after a resource: it is configured,
// not ignored, and the stack is not disarmed in a way that leaves it alone.
func managed(r *hacfg.Resource, manager object) bool {
	if r == nil || r.State == ha.RequestIgnored {
		return false
	}
	disarm := fields(manager["disarm"])
	return !truth(manager["disarm"]) || text(disarm["mode"]) != string(ha.DisarmIgnore)
}

// checkManaged refuses a resource that the HA stack does not look after.
func (q *Query) checkManaged(ctx context.Context, sid ha.SID) error {
	resources, err := q.resources(ctx)
	if err != nil {
		return err
	}
	r := resources.ByID[sid]
	manager := object{}
	if r != nil && r.State != ha.RequestIgnored {
		if manager, err = q.managerStatus(ctx); err != nil {
			return err
		}
	}
	if !managed(r, manager) {
		return fmt.Errorf("resource '%s' is not HA managed", sid)
	}
	return nil
}

// checkServiceState refuses to ask anything of a service in state error, but
// to disable it.
func (q *Query) checkServiceState(ctx context.Context, sid ha.SID, asked string) error {
	resources, err := q.resources(ctx)
	if err != nil {
		return err
	}
	r := resources.ByID[sid]
	if r == nil || r.State == ha.RequestIgnored {
		return nil
	}
	manager, err := q.managerStatus(ctx)
	if err != nil {
		return err
	}
	service := fields(fields(manager["service_status"])[string(sid)])
	if !managed(r, manager) || text(service["state"]) != string(ha.Error) || asked == string(ha.RequestDisabled) {
		return nil
	}
	return fmt.Errorf("service '%s' in error state, must be disabled and fixed first", sid)
}

// queue appends a command for the CRM.
func (e *Edit) queue(ctx context.Context, command ha.Command) error {
	return e.locked(ctx, "", func(ctx context.Context) error {
		data, err := e.read(ctx, pmxcfsio.CommandsFile)
		if err != nil {
			return err
		}
		return e.Editor.Write(ctx, pmxcfsio.CommandsFile, append(data, command.String()+"\n"...))
	})
}

// serviceForCommand reads the service that a command is for, and checks that
// it can take one.
func (e *Edit) serviceForCommand(ctx context.Context, p params) (ha.SID, error) {
	id, err := e.service(ctx, p.get("sid"))
	if err != nil {
		return "", err
	}
	if err := e.checkManaged(ctx, id.sid); err != nil {
		return "", err
	}
	return id.sid, e.checkServiceState(ctx, id.sid, "")
}

// stop is the command "crm-command stop".
func stop(ctx context.Context, e *Edit, p params) error {
	sid, err := e.serviceForCommand(ctx, p)
	if err != nil {
		return err
	}
	return e.queue(ctx, ha.Command{Kind: ha.CommandStop, SID: sid, Timeout: p.get("timeout")})
}

// migrate is the command "crm-command migrate".
func migrate(ctx context.Context, e *Edit, p params) error {
	return e.move(ctx, ha.CommandMigrate, p)
}

// relocate is the command "crm-command relocate".
func relocate(ctx context.Context, e *Edit, p params) error {
	return e.move(ctx, ha.CommandRelocate, p)
}

// move asks for a service to be moved, and says what the rules make of it.
func (e *Edit) move(ctx context.Context, kind ha.CommandKind, p params) error {
	if err := checkWait(p); err != nil {
		return err
	}
	sid, err := e.serviceForCommand(ctx, p)
	if err != nil {
		return err
	}
	node := p.get("node")
	command := ha.Command{Kind: kind, SID: sid, Node: node}
	if err := e.queue(ctx, command); err != nil {
		return err
	}
	along, blocking, err := e.motion(ctx, sid, node)
	if err != nil {
		return err
	}
	if len(blocking) > 0 {
		return blockedError(kind, sid, node, blocking)
	}
	for _, other := range along {
		fmt.Fprintf(e.Stdio.Out, "also %s resource '%s' in positive affinity with resource '%s' to target node '%s'\n",
			kind, other, sid, node)
	}
	if p.flag("wait") {
		return e.waitForMove(ctx, command, append([]ha.SID{sid}, along...), p)
	}
	return nil
}

// blockedError tells which resources keep another one from a node.
func blockedError(kind ha.CommandKind, sid ha.SID, node string, blocking []ha.SID) error {
	var b strings.Builder
	fmt.Fprintf(&b, "cannot %s resource '%s' to node '%s':\n\n", kind, sid, node)
	for _, other := range blocking {
		fmt.Fprintf(&b, "- resource '%s' on target node '%s' in negative affinity with resource '%s'\n", other, node, sid)
	}
	return errors.New(b.String())
}

// motion returns the services that move along with one, and those on the node
// that it must not share with.
func (q *Query) motion(ctx context.Context, sid ha.SID, node string) (along, blocking []ha.SID, err error) {
	manager, err := q.managerStatus(ctx)
	if err != nil {
		return nil, nil, err
	}
	compiled, err := q.compiledRules(ctx, manager)
	if err != nil {
		return nil, nil, err
	}
	services := fields(manager["service_status"])
	present := func(other ha.SID) (object, bool) {
		service := fields(services[string(other)])
		return service, services[string(other)] != nil && text(service["state"]) != string(ha.RequestIgnored)
	}
	for _, other := range compiled.Together(sid) {
		if _, ok := present(other); ok {
			along = append(along, other)
		}
	}
	if text(fields(manager["node_status"])[node]) != string(ha.NodeOnline) {
		return along, nil, nil
	}
	for _, other := range compiled.Separate(sid) {
		service, ok := present(other)
		elsewhere := func(key string) bool { return truth(service[key]) && text(service[key]) != node }
		if ok && !elsewhere("node") && !elsewhere("target") {
			blocking = append(blocking, other)
		}
	}
	return along, blocking, nil
}

// compiledRules returns the rules as the manager applies them.
func (q *Query) compiledRules(ctx context.Context, manager object) (*rules.Compiled, error) {
	r, err := q.rules(ctx)
	if err != nil {
		return nil, err
	}
	if r, err = q.withGroups(ctx, r); err != nil {
		return nil, err
	}
	var nodes []string
	for node := range fields(manager["node_status"]) {
		nodes = append(nodes, node)
	}
	slices.Sort(nodes)
	rules.Transform(r, nodes)
	return rules.Compile(r, nodes), nil
}

// checkNode refuses a node that is not in the cluster.
func (q *Query) checkNode(ctx context.Context, node string) error {
	nodes, err := q.Cluster.Nodes(ctx)
	if err != nil {
		return fmt.Errorf("cannot list the nodes: %w", err)
	}
	if !slices.Contains(nodes, node) {
		return fmt.Errorf("no such cluster node '%s'", node)
	}
	return nil
}

// enableMaintenance is the command "crm-command node-maintenance enable".
func enableMaintenance(ctx context.Context, e *Edit, p params) error {
	if err := checkWait(p); err != nil {
		return err
	}
	if err := e.checkNode(ctx, p.get("node")); err != nil {
		return err
	}
	if err := e.queue(ctx, ha.Command{Kind: ha.CommandEnableMaintenance, Node: p.get("node")}); err != nil {
		return err
	}
	if p.flag("wait") {
		return e.waitForMaintenance(ctx, p.get("node"), p)
	}
	return nil
}

// disableMaintenance is the command "crm-command node-maintenance disable".
func disableMaintenance(ctx context.Context, e *Edit, p params) error {
	if err := e.checkNode(ctx, p.get("node")); err != nil {
		return err
	}
	return e.queue(ctx, ha.Command{Kind: ha.CommandDisableMaintenance, Node: p.get("node")})
}

// disarm is the command "crm-command disarm-ha".
func disarm(ctx context.Context, e *Edit, p params) error {
	return e.queue(ctx, ha.Command{Kind: ha.CommandDisarm, Mode: ha.DisarmMode(p.get("resource-mode"))})
}

// arm is the command "crm-command arm-ha".
func arm(ctx context.Context, e *Edit, _ params) error {
	return e.queue(ctx, ha.Command{Kind: ha.CommandArm})
}
