package fuzz

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// What is accepted is JSON, and what is written of it is JSON in one form that
// reads as the same.
func FuzzManagerStatus(f *testing.F) {
	addStates(f, "manager_status")
	f.Fuzz(func(t *testing.T, data []byte) {
		var first *ha.ManagerStatus
		var err error
		bounded(t, data, func() { first, err = ha.ParseManagerStatus("f", data) })
		if err != nil {
			require.Nil(t, first)
			checkStatusError(t, err, data)
			return
		}
		require.True(t, json.Valid(data))
		written := first.Encode()
		require.True(t, json.Valid(written) && utf8.Valid(written))
		second, err := ha.ParseManagerStatus("f", written)
		require.NoError(t, err)
		require.Equal(t, string(written), string(second.Encode()))
	})
}

func FuzzLRMStatus(f *testing.F) {
	addStates(f, "lrm_status")
	f.Fuzz(func(t *testing.T, data []byte) {
		var first *ha.LRMStatus
		var err error
		bounded(t, data, func() { first, err = ha.ParseLRMStatus("f", data) })
		if err != nil {
			require.Nil(t, first)
			checkStatusError(t, err, data)
			return
		}
		require.True(t, json.Valid(data))
		written := first.Encode()
		require.True(t, json.Valid(written) && utf8.Valid(written))
		second, err := ha.ParseLRMStatus("f", written)
		require.NoError(t, err)
		require.Equal(t, string(written), string(second.Encode()))
	})
}

func checkStatusError(t *testing.T, err error, data []byte) {
	t.Helper()
	var status *ha.StatusError
	require.ErrorAs(t, err, &status)
	require.Equal(t, "f", status.File)
	require.LessOrEqual(t, status.Offset, len(data))
	require.NotEmpty(t, status.Want)
	require.NotEmpty(t, status.Got)
	require.Equal(t, len(data) == 0, errors.Is(err, ha.ErrEmptyStatus))
}

// A command is written as it is read, but for the white space.
func FuzzCommand(f *testing.F) {
	for _, line := range []string{
		"migrate vm:100 node2", "relocate ct:200 node1", "stop vm:101 0", "enable-node-maintenance node1",
		"disable-node-maintenance node1", "disarm-ha freeze", "arm-ha", "arm-ha \n",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, text := range append(ha.CommandLines(line), line) {
			command, err := ha.ParseCommand(text)
			if err != nil {
				require.Equal(t, ha.Command{}, command)
				continue
			}
			again, err := ha.ParseCommand(command.String())
			require.NoError(t, err)
			require.Equal(t, command, again)
		}
	})
}

// Of two versions one is at least the other, and every version is at least
// itself.
func FuzzVersion(f *testing.F) {
	f.Add("9.0.0~16", "9.0-1")
	f.Fuzz(func(t *testing.T, a, b string) {
		require.True(t, ha.HasMinVersion(a, b) || ha.HasMinVersion(b, a))
		require.True(t, ha.HasMinVersion(a, strings.Clone(a)))
	})
}
