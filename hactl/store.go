package hactl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"pveha/cfgparse"
	"pveha/cfgparse/hacfg"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// path is how messages call a file of the cluster file system.
func path(name string) string { return pmxcfsio.DefaultRoot + "/" + name }

// read returns the content of a file, nothing when it is missing.
func (q *Query) read(ctx context.Context, name string) ([]byte, error) {
	data, err := q.Cluster.Read(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path(name), err)
	}
	return data, nil
}

// tell prints the problems of a file, once in the life of a command.
func (q *Query) tell(name string, problems []hacfg.Problem) {
	if q.warned[name] {
		return
	}
	q.warned[name] = true
	for i := range problems {
		fmt.Fprint(q.Stdio.Err, problems[i].Warning())
	}
}

// config reads a configuration file and tells its problems.
func config[T any](ctx context.Context, q *Query, name string, parse func(string, []byte) (T, []hacfg.Problem)) (T, error) {
	data, err := q.read(ctx, name)
	if err != nil {
		var none T
		return none, err
	}
	parsed, problems := parse(path(name), data)
	q.tell(name, problems)
	return parsed, nil
}

func (q *Query) resources(ctx context.Context) (*hacfg.Resources, error) {
	return config(ctx, q, pmxcfsio.ResourcesFile, hacfg.ParseResources)
}

func (q *Query) groups(ctx context.Context) (*hacfg.Groups, error) {
	return config(ctx, q, pmxcfsio.GroupsFile, hacfg.ParseGroups)
}

func (q *Query) rules(ctx context.Context) (*hacfg.Rules, error) {
	return config(ctx, q, pmxcfsio.RulesFile, hacfg.ParseRules)
}

// groupsMigrated tells that there are no groups any more: rules are in use.
func groupsMigrated(g *hacfg.Groups) bool { return len(g.ByID) == 0 && len(g.Broken) == 0 }

// hasManagedGroups reads the groups and tells whether they are still in use.
func (q *Query) hasManagedGroups(ctx context.Context) (bool, error) {
	g, err := q.groups(ctx)
	if err != nil {
		return false, err
	}
	return !groupsMigrated(g), nil
}

// services returns the configured resources with their defaults and places.
func (q *Query) services(ctx context.Context, r *hacfg.Resources) (map[ha.SID]ha.ServiceConfig, error) {
	guests, err := q.Cluster.Guests(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot list the guests: %w", err)
	}
	services := make(map[ha.SID]ha.ServiceConfig, len(r.ByID))
	for sid, resource := range r.ByID {
		service := resource.Service()
		service.Node = guests[sid.Name()].Node
		services[sid] = service
	}
	return services, nil
}

// requireQuorum fails without quorum.
func (q *Query) requireQuorum(ctx context.Context) error {
	quorate, err := q.Cluster.Quorate(ctx)
	if err != nil {
		return fmt.Errorf("cannot ask for quorum: %w", err)
	}
	if !quorate {
		return ErrNoQuorum
	}
	return nil
}

// haFolder is where the files of the HA stack are.
const haFolder = "ha"

// begin checks for quorum and creates the folder of the HA files.
func (e *Edit) begin(ctx context.Context) error {
	if err := e.requireQuorum(ctx); err != nil {
		return err
	}
	// That it cannot be created shows when a file is written to it.
	_ = e.Editor.MakeFolder(ctx, haFolder)
	return nil
}

// locked runs body under the lock of the HA domain. A failure gets the prefix,
// unless that is "".
func (e *Edit) locked(ctx context.Context, prefix string, body func(context.Context) error) error {
	waiting := func(text string) { fmt.Fprintln(e.Stdio.Err, text) }
	err := e.Editor.Locked(ctx, waiting, body)
	if err != nil && prefix != "" {
		return fmt.Errorf("%s: %w", prefix, err)
	}
	return err
}

// write prints a configuration in canonical form and replaces its file.
func (e *Edit) write(ctx context.Context, name string, print func() ([]byte, error)) error {
	data, err := print()
	if err != nil {
		return err
	}
	return e.Editor.Write(ctx, name, data)
}

// checkDigest refuses to change a file that is not the one that was seen. "0"
// stands for any, as no digest does.
func checkDigest(current string, p params) error {
	seen := p.get("digest")
	if seen == "0" {
		seen = ""
	}
	return cfgparse.CheckDigest(current, seen)
}

// checkSection refuses values that make no section of the type, before anybody
// has to wait for a lock.
func checkSection(schema *cfgparse.Schema, typ, id string, values map[string]string) error {
	_, err := schema.Create(typ, id, values)
	return err
}
