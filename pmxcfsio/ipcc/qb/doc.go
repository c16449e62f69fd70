// Package qb speaks libqb's shared-memory transport, both ends of it, without
// libqb: the handshake on an abstract unix socket, one ring per direction in
// /dev/shm, glibc's process-shared semaphores by futex, and one byte on the
// socket per request, which is how a poll loop learns of it.
//
// It talks to libqb 2.0.6 (Debian 12) and newer; 2.0.10 has the same layout and
// the same names of files. The layout is that of a 64-bit little-endian machine
// (amd64, arm64) with glibc's semaphores, which the libraries of Debian and
// Proxmox VE use.
//
// Neither end trusts the other: what the shared memory says is checked before
// it is used, a file that is cut short under the mapping is an error and not a
// crash, and no wait is longer than its context.
//
// A client:
//
//	conn, err := qb.Dial(ctx, qb.DialConfig{Name: "pve2"})
//	answer, err := conn.Call(ctx, 6, []byte("ha/resources.cfg\x00"))
//	defer conn.Close()
//
// A server:
//
//	server, err := qb.Listen(qb.ServerConfig{Name: "pve2", Handler: handler})
//	err = server.Run(ctx) // until ctx ends
package qb
