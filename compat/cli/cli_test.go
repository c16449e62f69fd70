package cli

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/golden"
)

func TestRecordingsOfThePerlCommand(t *testing.T) {
	var out bytes.Buffer
	passed, failed, err := Check([]string{golden.Shared(t, "golden", "cli", "recordings.jsonl")}, &out)
	require.NoError(t, err)
	require.Zero(t, failed, out.String())
	require.Equal(t, 300, passed)
}
