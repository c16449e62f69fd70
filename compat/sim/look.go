package sim

import (
	"fmt"

	"pveha/crm"
)

// CRMEnv returns the cluster as the CRM of a node sees it, for questions about
// it such as [crm.Explain]. What is done through it is done to the cluster.
func (c *Cluster) CRMEnv(node string) (crm.Env, error) {
	n := c.nodes[node]
	if n == nil {
		return nil, fmt.Errorf("no node '%s'", node)
	}
	return n.crmEnv, nil
}
