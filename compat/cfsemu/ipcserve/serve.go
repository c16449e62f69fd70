// Package ipcserve serves pmxcfs's IPC beside the mounts of an emulated
// cluster: one abstract socket for each node, with the requests, the rights
// and the errors of the original.
package ipcserve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"pveha/compat/cfsemu"
	"pveha/compat/cfsemu/nsthread"
	"pveha/pmxcfsio/ipcc"
)

// NodeMark stands for the name of a node in a [Config]'s patterns.
const NodeMark = "{node}"

// Config says where the nodes listen.
type Config struct {
	// Name is the pattern of the abstract sockets' names, such as
	// "pve2-{node}". It may go without the mark where each node has a network
	// namespace of its own.
	Name string
	// ShmDir is the folder of the shared memory. Clients must see the same
	// files under the same path. Empty means /dev/shm.
	ShmDir string
	// RestartFlag is the pattern of the path of the file that tells clients
	// that pmxcfs was stopped cleanly and may come back within seconds. Empty
	// means there is none.
	RestartFlag string
	// NetNS are the paths of the network namespaces to listen in, by node, such
	// as /run/netns/node1; the own one where a node is missing. In a namespace
	// of its own a node is called as pmxcfs is, pve2.
	NetNS map[string]string
}

func (cfg Config) forNode(pattern, node string) string {
	return strings.ReplaceAll(pattern, NodeMark, node)
}

// Servers are the IPC servers of a cluster.
type Servers struct {
	cfg   Config
	nodes map[string]*nodeServer
}

// Serve listens for every node that runs, and follows stops, crashes and
// starts of its pmxcfs from then on.
func Serve(c *cfsemu.Cluster, cfg Config) (*Servers, error) {
	s := &Servers{cfg: cfg, nodes: map[string]*nodeServer{}}
	for _, n := range c.Nodes() {
		node := &nodeServer{
			node: n, name: cfg.forNode(cfg.Name, n.Name()), shmDir: cfg.ShmDir,
			flag: cfg.forNode(cfg.RestartFlag, n.Name()), netNS: cfg.NetNS[n.Name()],
		}
		s.nodes[n.Name()] = node
		if err := n.Attach(node); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// Name returns the name of a node's socket.
func (s *Servers) Name(node string) string {
	if n := s.nodes[node]; n != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.socket()
	}
	return ""
}

// Enter moves a node's server to another network namespace, which is held until
// it is moved again; an empty path is the own one. Clients have to connect
// anew.
func (s *Servers) Enter(node, netNS string) error {
	n := s.nodes[node]
	if n == nil {
		return fmt.Errorf("no node is named %q", node)
	}
	n.mu.Lock()
	running := n.server != nil
	n.mu.Unlock()
	if err := n.Stopped(false); err != nil {
		return err
	}
	if err := n.hold(netNS); err != nil || !running {
		return err
	}
	return n.Started()
}

// hold keeps a network namespace for every start to come, whatever becomes of
// the process it was named by.
func (s *nodeServer) hold(netNS string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		_ = s.held.Close()
		s.held = nil
	}
	s.netNS = ""
	if netNS == "" {
		return nil
	}
	file, err := os.Open(netNS)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", netNS, err)
	}
	s.held, s.netNS = file, fmt.Sprintf("/proc/self/fd/%d", file.Fd())
	return nil
}

// RestartFlag returns the path of a node's restart flag, empty where there is
// none.
func (s *Servers) RestartFlag(node string) string { return s.cfg.forNode(s.cfg.RestartFlag, node) }

// Close ends all servers and removes their restart flags. Clients get
// ECONNREFUSED from then on.
func (s *Servers) Close() error {
	var first error
	for _, n := range s.nodes {
		if err := n.Stopped(false); err != nil && first == nil {
			first = err
		}
		if err := n.hold(""); err != nil && first == nil {
			first = err
		}
		if n.flag != "" {
			_ = os.Remove(n.flag) // mostly there is none
		}
	}
	return first
}

// nodeServer is the IPC of one node; it is a cfsemu.Frontend.
type nodeServer struct {
	node                      *cfsemu.Node
	name, shmDir, flag, netNS string

	mu     sync.Mutex
	held   *os.File // what netNS names
	server *ipcc.Server
	served chan error
}

// socket is the name to listen by.
func (s *nodeServer) socket() string {
	if s.netNS != "" {
		return ipcc.DefaultName
	}
	return s.name
}

// Started implements cfsemu.Frontend.
func (s *nodeServer) Started() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := inNetNS(s.netNS, func() (err error) {
		s.server, err = ipcc.Listen(ipcc.ServerConfig{
			Name: s.socket(), ShmDir: s.shmDir, ReadOnlyGroup: cfsemu.GroupID, Handler: handler{s.node},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("IPC of %s: %w", s.node.Name(), err)
	}
	s.served = make(chan error, 1)
	server, served := s.server, s.served
	go func() { served <- server.Run(context.Background()) }()
	if s.flag != "" {
		_ = os.Remove(s.flag) // there is none unless pmxcfs was stopped
	}
	return nil
}

// Stopped implements cfsemu.Frontend.
func (s *nodeServer) Stopped(clean bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		return nil
	}
	if clean && s.flag != "" {
		if err := makeFlag(s.flag); err != nil {
			return err
		}
	}
	err := s.server.Close()
	if runErr := <-s.served; err == nil {
		err = runErr
	}
	s.server = nil
	return err
}

// makeFlag makes the file that says: wait for me.
func makeFlag(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o440)
	if err != nil {
		return err
	}
	if err := file.Chown(0, cfsemu.GroupID); err != nil {
		return errors.Join(err, file.Close())
	}
	return file.Close()
}

// inNetNS runs action in the network namespace at path, empty for the own one.
func inNetNS(path string, action func() error) error {
	if path == "" {
		return action()
	}
	namespace, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", path, err)
	}
	defer namespace.Close()
	return nsthread.Run(namespace, nsthread.Network, action)
}
