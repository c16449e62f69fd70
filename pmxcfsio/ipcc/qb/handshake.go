package qb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The handshake: the client's greeting is a request header and the largest
// message it wants to send; the server's answer is a response header, the
// transport, the size of messages, a number of its own, and the names of the
// three rings.
const (
	greetingSize = requestHeaderSize + 8
	welcomeSize  = responseHeaderSize + 16 + len(directions)*pathSize

	transportOffset = responseHeaderSize
	maxOffset       = transportOffset + 4
	numberOffset    = maxOffset + 4
	namesOffset     = numberOffset + 8
)

// socketPath is the size of sun_path.
const socketPath = 108

// socketName is the address of a name in the abstract namespace as libqb
// writes it: zero bytes up to the end belong to it. net spells the first zero
// byte "@".
func socketName(name string) (string, error) {
	if name == "" || len(name) > socketPath-2 || strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("name of a socket %q: %w", name, unix.EINVAL)
	}
	return "@" + name + strings.Repeat("\x00", socketPath-1-len(name)), nil
}

// welcome is the server's answer to the greeting.
type welcome struct {
	failure    int32
	transport  int32
	maxMessage uint32
	number     uint64
	names      [len(directions)]string
}

func putHeader(to []byte, id int32, size int) []byte {
	to = binary.LittleEndian.AppendUint64(to, uint64(uint32(id)))
	return binary.LittleEndian.AppendUint64(to, uint64(size))
}

func putResponseHeader(to []byte, id int32, size int, failure int32) []byte {
	to = putHeader(to, id, size)
	return binary.LittleEndian.AppendUint64(to, uint64(uint32(failure)))
}

// field is one number of a header, a 32-bit one in 8 bytes.
func field(message []byte, index int) int32 {
	return int32(binary.LittleEndian.Uint32(message[index*8:]))
}

func greeting(maxMessage int) []byte {
	b := putHeader(make([]byte, 0, greetingSize), authenticate, greetingSize)
	return binary.LittleEndian.AppendUint64(b, uint64(maxMessage))
}

// parseGreeting returns the size of messages that the client asks for.
func parseGreeting(b [greetingSize]byte) (uint32, error) {
	if id := field(b[:], 0); id != authenticate {
		return 0, fmt.Errorf("%w: greeting with id %d", ErrProtocol, id)
	}
	return binary.LittleEndian.Uint32(b[requestHeaderSize:]), nil
}

func (w welcome) bytes() []byte {
	b := putResponseHeader(make([]byte, 0, welcomeSize), authenticate, welcomeSize, w.failure)
	b = binary.LittleEndian.AppendUint32(b, uint32(w.transport))
	b = binary.LittleEndian.AppendUint32(b, w.maxMessage)
	b = binary.LittleEndian.AppendUint64(b, w.number)
	for i, name := range w.names {
		b = append(b, name...)
		b = append(b, make([]byte, namesOffset+(i+1)*pathSize-len(b))...)
	}
	return b
}

func parseWelcome(b *[welcomeSize]byte) (welcome, error) {
	if id, size := field(b[:], 0), field(b[:], 1); id != authenticate || int(size) != welcomeSize {
		return welcome{}, fmt.Errorf("%w: answer to the greeting has id %d and size %d, expected %d and %d",
			ErrProtocol, id, size, authenticate, welcomeSize)
	}
	w := welcome{
		failure:    field(b[:], 2),
		transport:  int32(binary.LittleEndian.Uint32(b[transportOffset:])),
		maxMessage: binary.LittleEndian.Uint32(b[maxOffset:]),
		number:     binary.LittleEndian.Uint64(b[numberOffset:]),
	}
	for i := range w.names {
		text, _, found := bytes.Cut(b[namesOffset+i*pathSize:][:pathSize], []byte{0})
		if !found {
			return welcome{}, fmt.Errorf("%w: name of the %s ring has no end", ErrProtocol, directions[i])
		}
		w.names[i] = string(text)
	}
	return w, nil
}

// check says whether the connection can be used, with files below shmDir.
func (w welcome) check(shmDir string, asked int) error {
	switch {
	case w.failure > 0:
		return fmt.Errorf("%w (%d)", ErrRefused, w.failure)
	case w.failure < 0 && w.failure > math.MinInt32:
		return fmt.Errorf("%w: %w", ErrRefused, syscall.Errno(-w.failure))
	case w.failure != 0:
		return fmt.Errorf("%w: handshake failed with %d", ErrProtocol, w.failure)
	case w.transport != shmTransport:
		return fmt.Errorf("%w: transport %d is not shared memory", ErrProtocol, w.transport)
	case w.maxMessage < uint32(asked) || w.maxMessage > maxMessageLimit:
		return fmt.Errorf("%w: messages of %d bytes, asked for %d", ErrProtocol, w.maxMessage, asked)
	}
	for _, name := range w.names {
		inside, err := filepath.Rel(shmDir, name)
		if err != nil || !filepath.IsLocal(inside) || filepath.Clean(name) != name {
			return fmt.Errorf("%w: ring %q is not below %s", ErrProtocol, name, shmDir)
		}
	}
	return nil
}

// shmName is the path of a ring from what the handshake calls it: libqb takes
// a name without a slash to be one of its own files.
func shmName(shmDir, name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	return filepath.Join(shmDir, "qb-"+name)
}

// wantCredentials makes the kernel put the sender's credentials beside what a
// socket sends and receives; libqb relies on it at both ends.
func wantCredentials(socket syscall.RawConn) error {
	return control(socket, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	})
}

// control runs a system call on a socket.
func control(socket syscall.RawConn, call func(fd int) error) error {
	var err error
	if controlErr := socket.Control(func(fd uintptr) { err = call(int(fd)) }); controlErr != nil {
		return controlErr
	}
	return err
}

// readGreeting reads the greeting and who sent it: libqb judges the sender of
// the greeting, not who has connected.
func readGreeting(conn *net.UnixConn) ([greetingSize]byte, Peer, error) {
	var message [greetingSize]byte
	control := make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	var sender *unix.Ucred
	for read := 0; read < len(message); {
		n, controlLen, _, _, err := conn.ReadMsgUnix(message[read:], control)
		if err != nil {
			return message, Peer{}, err
		}
		if n == 0 {
			return message, Peer{}, io.ErrUnexpectedEOF
		}
		if sender == nil {
			sender = credentials(control[:controlLen])
		}
		read += n
	}
	if sender == nil {
		return message, Peer{}, fmt.Errorf("%w: greeting without credentials", ErrProtocol)
	}
	return message, Peer{PID: sender.Pid, UID: sender.Uid, GID: sender.Gid}, nil
}

// credentials finds the sender's credentials in control messages.
func credentials(control []byte) *unix.Ucred {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for i := range messages {
		if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			return cred
		}
	}
	return nil
}
