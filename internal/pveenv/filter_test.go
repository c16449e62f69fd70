package pveenv

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/pmxcfsio"
)

func TestAStatusIsNewsWhenMoreThanItsTimeHasChanged(t *testing.T) {
	lrm := pmxcfsio.LRMStatusFile("node1")
	var text string
	var fail error
	f := statusFilter{read: func(string) ([]byte, error) { return []byte(text), fail }}
	for _, step := range []struct {
		file, text string
		news       bool
	}{
		{pmxcfsio.ManagerStatusFile, `{"master_node":"n1","node_status":{"n1":"online","n2":"online"},"service_status":{},"timestamp":100}`, true},
		{pmxcfsio.ManagerStatusFile, `{"master_node":"n1","node_status":{"n1":"online","n2":"online"},"service_status":{},"timestamp":110}`, false},
		{pmxcfsio.ManagerStatusFile, `{"timestamp":120,"node_status":{"n2":"online","n1":"online"},"service_status":{},"master_node":"n1"}`, false},
		{pmxcfsio.ManagerStatusFile, `{"timestamp":"130","node_status":{"n2":"online","n1":"online"},"service_status":{},"master_node":"n1"}`, false},
		{pmxcfsio.ManagerStatusFile, `{"timestamp":130,"node_status":{"n2":"online","n1":"online"},"service_status":{},"master_node":"n2"}`, true},
		{pmxcfsio.ManagerStatusFile, `{"timestamp":130,"node_status":{"n2":"online","n1":"online"},"service_status":{},"master_node":"n1"}`, true},
		{pmxcfsio.ManagerStatusFile, `{"timestamp":130,"node_status":{"n2":"ignore","n1":"online"},"service_status":{},"master_node":"n1"}`, true},
		{pmxcfsio.ManagerStatusFile, `{"timestamp":130,"node_status":{"n2":"online","n1":"ignore"},"service_status":{},"master_node":"n1"}`, true},
		{pmxcfsio.ManagerStatusFile, `{"timestamp":140,"node_status":{"n2":"unknown","n1":"online"},"service_status":{},"master_node":"n1"}`, true},
		{lrm, `{"mode":"active","results":{},"state":"active","timestamp":100}`, true},
		{lrm, `{"mode":"active","results":{},"state":"active","timestamp":105}`, false},
		{lrm, `{"timestamp":110,"state":"active","mode":"active","results":{}}`, false},
		{lrm, `{"timestamp":110,"state":"active","mode":"maintenance","results":{}}`, true},
		{lrm, `{"timestamp":`, true},
		{lrm, ``, true},
		{lrm, ``, false},
	} {
		text = step.text
		require.Equal(t, step.news, f.isNews(step.file), step.text)
	}
	fail = errors.New("no file system")
	require.True(t, f.isNews(lrm))
}
