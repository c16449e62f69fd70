package formats

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVectorsOfThePerlStack(t *testing.T) {
	var out bytes.Buffer
	passed, failed, err := Check([]string{"../testdata/formats/vectors.jsonl"}, &out)
	require.NoError(t, err)
	require.Zero(t, failed, out.String())
	require.Equal(t, 503, passed)
}
