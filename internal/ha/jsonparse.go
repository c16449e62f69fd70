package ha

// ParseManagerStatus reads ha/manager_status, written by this stack or by the
// Perl stack. file is the name for errors, which are *StatusError: for text
// that is not JSON or stops short, for a value of the wrong type, and for JSON
// that has nothing of a manager status. For a file without content the error
// is ErrEmptyStatus as well.
//
// What this version does not know is kept in Extra.
func ParseManagerStatus(file string, data []byte) (*ManagerStatus, error) {
	p := &statusParser{jsonScanner: jsonScanner{data: data}}
	m := &ManagerStatus{}
	known := false
	p.object("the manager status", func(key string) {
		known = p.managerKey(m, key) || known
	})
	if p.err == nil && !known && m.Extra != nil {
		p.failAt(0, "a manager status")
	}
	if err := p.finish(file); err != nil {
		return nil, err
	}
	return m, nil
}

// ParseLRMStatus reads nodes/NODE/lrm_status like ParseManagerStatus reads
// ha/manager_status.
func ParseLRMStatus(file string, data []byte) (*LRMStatus, error) {
	p := &statusParser{jsonScanner: jsonScanner{data: data}}
	l := &LRMStatus{}
	known := false
	p.object("the LRM status", func(key string) {
		known = p.lrmKey(l, key) || known
	})
	if p.err == nil && !known && l.Extra != nil {
		p.failAt(0, "an LRM status")
	}
	if err := p.finish(file); err != nil {
		return nil, err
	}
	return l, nil
}

// statusParser fills the status types from JSON text.
type statusParser struct {
	jsonScanner
	services []ServiceStatus // allocated, not used yet
}

// finish checks that nothing follows and returns the failure, if any, with
// the name of the file.
func (p *statusParser) finish(file string) error {
	p.next()
	if p.err == nil && p.pos < len(p.data) {
		p.fail("the end of the file")
	}
	if p.err == nil {
		return nil
	}
	p.err.File = file
	if len(p.data) == 0 {
		p.err.Err = ErrEmptyStatus
	}
	return p.err
}

// managerKey reads the value of one key. It tells whether the key is one that
// no other file has.
func (p *statusParser) managerKey(m *ManagerStatus, key string) bool {
	switch key {
	case "master_node":
		m.MasterNode = p.scalar("the name of the master node")
	case "timestamp":
		m.Timestamp = Epoch(p.integer("a time in seconds"))
		return false
	case "node_status":
		m.NodeStatus = p.nodeStatus()
	case "service_status":
		m.ServiceStatus = p.serviceStatuses()
	case "node_request":
		m.NodeRequest = p.nodeRequests()
	case "disarm":
		m.Disarm = p.disarm()
	default:
		p.extra(&m.Extra, key)
		return false
	}
	return true
}

func (p *statusParser) nodeStatus() map[string]NodeState {
	if p.null() {
		return nil
	}
	nodes := map[string]NodeState{}
	p.object("node states", func(node string) {
		delete(nodes, node)
		if !p.null() {
			nodes[node] = NodeState(p.scalar("the state of a node"))
		}
	})
	return nodes
}

func (p *statusParser) nodeRequests() map[string]NodeRequest {
	if p.null() {
		return nil
	}
	requests := map[string]NodeRequest{}
	p.object("node requests", func(node string) {
		request := NodeRequest{}
		if !p.null() {
			p.object("the request for a node", func(key string) {
				if key == "maintenance" {
					request.Maintenance = p.boolean("a truth value")
					return
				}
				p.extra(&request.Extra, key)
			})
		}
		requests[node] = request
	})
	return requests
}

func (p *statusParser) disarm() *Disarm {
	if p.null() {
		return nil
	}
	d := &Disarm{}
	p.object("the disarm request", func(key string) {
		switch key {
		case "mode":
			d.Mode = DisarmMode(p.scalar("a disarm mode"))
		case "state":
			d.State = DisarmState(p.scalar("a disarm state"))
		default:
			p.extra(&d.Extra, key)
		}
	})
	return d
}

func (p *statusParser) serviceStatuses() map[SID]*ServiceStatus {
	if p.null() {
		return nil
	}
	// A service takes 60 bytes at least.
	services := make(map[SID]*ServiceStatus, (len(p.data)-p.pos)/100)
	p.object("service states", func(sid string) {
		delete(services, SID(sid))
		if !p.null() {
			services[SID(sid)] = p.service()
		}
	})
	return services
}

// serviceBlock is how many services are allocated at once.
const serviceBlock = 128

func (p *statusParser) service() *ServiceStatus {
	if len(p.services) == 0 {
		p.services = make([]ServiceStatus, serviceBlock)
	}
	s := &p.services[0]
	p.services = p.services[1:]
	p.object("the state of a service", func(key string) {
		switch key {
		case "state":
			s.State = ServiceState(p.scalar("a service state"))
		case "node":
			s.Node = p.scalar("the name of a node")
		case "uid":
			s.UID = p.scalar("a UID")
		case "target":
			s.Target = p.scalar("the name of a node")
		case "cmd":
			s.Cmd = p.texts("words of a command")
		case "running":
			s.Running = p.boolean("a truth value")
		case "failed_nodes":
			s.FailedNodes = p.texts("names of nodes")
		case "maintenance_node":
			s.MaintenanceNode = p.scalar("the name of a node")
		case "timeout":
			s.Timeout = p.scalar("a time in seconds")
		default:
			p.extra(&s.Extra, key)
		}
	})
	return s
}

// lrmKey reads the value of one key. It tells whether the key is one that no
// other file has.
func (p *statusParser) lrmKey(l *LRMStatus, key string) bool {
	switch key {
	case "state":
		l.State = LRMState(p.scalar("a state of the LRM"))
	case "mode":
		l.Mode = LRMMode(p.scalar("a mode of the LRM"))
	case "timestamp":
		l.Timestamp = Epoch(p.integer("a time in seconds"))
		return false
	case "results":
		l.Results = p.results()
	default:
		p.extra(&l.Extra, key)
		return false
	}
	return true
}

func (p *statusParser) results() map[string]Result {
	if p.null() {
		return nil
	}
	results := map[string]Result{}
	p.object("results", func(uid string) {
		delete(results, uid)
		if !p.null() {
			results[uid] = p.result()
		}
	})
	return results
}

func (p *statusParser) result() Result {
	var r Result
	p.object("a result", func(key string) {
		switch key {
		case "sid":
			r.SID = SID(p.scalar("a service ID"))
		case "state":
			r.State = ServiceState(p.scalar("a service state"))
		case "exit_code":
			r.ExitCode = ExitCode(p.integer("an exit code"))
		default:
			p.extra(&r.Extra, key)
		}
	})
	return r
}
