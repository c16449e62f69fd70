package qb

import (
	"errors"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// semaphore is glibc's sem_t on 64-bit machines (sem_init of glibc 2.21 and
// newer), shared between processes: the value in the low half of a 64-bit
// word, the number of waiters in the high half, then the flag that makes
// glibc's futex calls shared ones.
type semaphore struct {
	word    *uint64 // changed with atomics only
	private *uint32
}

const (
	semaphoreSize  = 32 // sizeof(sem_t)
	semaphoreValue = 1<<32 - 1
	oneWaiter      = 1 << 32
	maxSemaphore   = maxInt32 // SEM_VALUE_MAX

	// futexShared is how glibc remembers that a semaphore is shared: the
	// value is taken from its futex operations' private flag.
	futexShared = 128

	futexWaitOp = 0
	futexWakeOp = 1
)

var errSemaphoreFull = errors.New("semaphore overflow")

// semaphoreAt is the semaphore at an offset, a multiple of 8, of a mapping.
func semaphoreAt(mapping []byte, offset int) semaphore {
	return semaphore{
		word:    (*uint64)(unsafe.Pointer(&mapping[offset])),
		private: (*uint32)(unsafe.Pointer(&mapping[offset+8])),
	}
}

// init makes it a free one for several processes with value 0.
func (s semaphore) init() {
	atomic.StoreUint64(s.word, 0)
	atomic.StoreUint32(s.private, futexShared)
}

func (s semaphore) value() uint32 { return uint32(atomic.LoadUint64(s.word)) }

// futex is the address of the half that the kernel compares and wakes by. Both
// machines have the low half first.
func (s semaphore) futex() *uint32 { return (*uint32)(unsafe.Pointer(s.word)) }

func (s semaphore) post() error {
	for {
		word := atomic.LoadUint64(s.word)
		if word&semaphoreValue >= maxSemaphore {
			return errSemaphoreFull
		}
		if !atomic.CompareAndSwapUint64(s.word, word, word+1) {
			continue
		}
		if word >= oneWaiter {
			futexWake(s.futex())
		}
		return nil
	}
}

func (s semaphore) tryWait() bool {
	for {
		word := atomic.LoadUint64(s.word)
		if word&semaphoreValue == 0 {
			return false
		}
		if atomic.CompareAndSwapUint64(s.word, word, word-1) {
			return true
		}
	}
}

// wait takes one off the value, or returns false after the time, which may end
// early.
func (s semaphore) wait(sleep time.Duration) bool {
	if s.tryWait() {
		return true
	}
	atomic.AddUint64(s.word, oneWaiter)
	defer atomic.AddUint64(s.word, ^uint64(oneWaiter-1))
	if s.tryWait() {
		return true
	}
	futexWait(s.futex(), sleep)
	return s.tryWait()
}

// futexWait sleeps while the value at the address is 0, until a wake, a signal
// or the end of the time; it may also return for no reason.
func futexWait(address *uint32, sleep time.Duration) {
	timeout := unix.NsecToTimespec(sleep.Nanoseconds())
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(address)), futexWaitOp, 0,
		uintptr(unsafe.Pointer(&timeout)), 0, 0)
}

func futexWake(address *uint32) {
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(address)), futexWakeOp, 1, 0, 0, 0)
}
