package cli

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"pveha/hactl"
	"pveha/pmxcfsio"
)

// outcome is what a call did.
type outcome struct {
	stdout, stderr string
	exit           int
	files          map[string]string
}

// The cluster that recordings are made on, unless they say otherwise.
var (
	clusterNodes  = []string{"node1", "node2", "node3"}
	clusterGuests = map[string]hactl.Guest{
		"100": {Node: "node1", Type: "qemu"},
		"101": {Node: "node2", Type: "qemu"},
		"102": {Node: "node3", Type: "qemu"},
		"103": {Node: "node1", Type: "qemu"},
		"200": {Node: "node3", Type: "lxc"},
		"201": {Node: "node1", Type: "lxc"},
	}
)

// filesBefore are the files that a call finds.
func (r *recording) filesBefore() map[string]string {
	files := map[string]string{}
	for name, data := range r.Before {
		if data != nil {
			files[name] = *data
		}
	}
	for node, data := range r.LRM {
		if data != nil {
			files[pmxcfsio.LRMStatusFile(node)] = *data
		}
	}
	return files
}

// filesAfter are the files that a call left, those of the LRMs aside.
func (r *recording) filesAfter() map[string]string {
	files := map[string]string{}
	for name, data := range r.After {
		if data != nil {
			files[name] = *data
		}
	}
	return files
}

// replay makes the call of a recording.
func (r *recording) replay(ctx context.Context) (o outcome, err error) {
	b, err := newBed(r)
	if b != nil {
		defer func() { err = errors.Join(err, b.close()) }()
	}
	if err != nil {
		return outcome{}, err
	}
	env, err := b.env()
	if err != nil {
		return outcome{}, err
	}
	o = r.call(ctx, env)
	o.files = b.filesAfter()
	return o, nil
}

// call runs the command in an environment.
func (r *recording) call(ctx context.Context, env hactl.Env) outcome {
	var stdout, stderr bytes.Buffer
	exit := hactl.Run(ctx, env, hactl.Stdio{
		Out: &stdout, Err: &stderr,
		Getenv: func(name string) string { return r.Env[name] },
	}, slices.Clone(r.Argv))
	return outcome{stdout: stdout.String(), stderr: stderr.String(), exit: exit}
}
