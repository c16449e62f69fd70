package ipcc

import (
	"errors"
	"fmt"
	"syscall"
)

// What can go wrong with a request before pmxcfs has answered it, for
// errors.Is. The system's errno is reachable too where there is one.
var (
	// ErrUnreachable says that no pmxcfs answers: none is there, it has just
	// died, or it refuses this user.
	ErrUnreachable = errors.New("pmxcfs is not reachable")
	// ErrTimeout says that pmxcfs has not answered in time.
	ErrTimeout = errors.New("pmxcfs does not answer")
	// ErrProtocol says that the answer makes no sense.
	ErrProtocol = errors.New("wrong answer of pmxcfs")
	// ErrClosed says that the client was closed.
	ErrClosed = errors.New("client closed")
)

// RequestError is pmxcfs's answer that it did not do what was asked.
type RequestError struct {
	Request string        // what was asked, for people
	Errno   syscall.Errno // why not; reachable with errors.Is
}

func (e *RequestError) Error() string {
	return fmt.Sprintf("pmxcfs: %s: %v", e.Request, e.Errno)
}

func (e *RequestError) Unwrap() error { return e.Errno }
