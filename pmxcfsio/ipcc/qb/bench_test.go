package qb

import (
	"context"
	"fmt"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// benchmarkCall asks for an answer of 1500 bytes, as large as change counters,
// and of 10 KiB, as a large status file.
func benchmarkCall(b *testing.B, name string) {
	for _, size := range []int{1500, 10 << 10} {
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			conn, err := Dial(context.Background(), DialConfig{Name: name})
			require.NoError(b, err)
			defer conn.Close()
			request := number(size)
			for b.Loop() {
				if _, err := conn.Call(context.Background(), dataOfSize, request); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCallLibqb asks the real libqb.
func BenchmarkCallLibqb(b *testing.B) {
	name := newName()
	startServer(b, name)
	benchmarkCall(b, name)
}

// BenchmarkCall asks our own server.
func BenchmarkCall(b *testing.B) {
	name := newName()
	serve(b, ServerConfig{Name: name, Handler: handlerFunc(func(_ context.Context, request Request) (Response, error) {
		return Response{Data: make([]byte, int(request.Payload[0])|int(request.Payload[1])<<8)}, nil
	})})
	benchmarkCall(b, name)
}

// BenchmarkLibqb is libqb's client asking libqb's server, for comparison.
func BenchmarkLibqb(b *testing.B) {
	name := newName()
	startServer(b, name)
	client := start(b, exec.Command(libqbProgram(b, "client"), name, "1048576", "5000"))
	require.Equal(b, "connected", client.line(b))
	b.Run("echo of 1500 bytes", func(b *testing.B) {
		_, err := fmt.Fprintf(client.input, "-%d 1500\n", b.N)
		require.NoError(b, err)
		require.Equal(b, "repeated", client.line(b))
	})
}
