package qb

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where things are in the header file of a ring: three counters in words of 4
// bytes, the paths of the two files, the number of users, the semaphore that
// counts messages, and, in the ring of requests, the flow control.
const (
	writeOffset     = 0
	readOffset      = 4
	wordsOffset     = 8
	headPathOffset  = 12
	pathSize        = 4096 // PATH_MAX
	dataPathOffset  = headPathOffset + pathSize
	usersOffset     = dataPathOffset + pathSize
	semaphoreOffset = usersOffset + 4
	flowOffset      = semaphoreOffset + semaphoreSize
	ringHeaderSize  = flowOffset + 8
)

// A chunk is its size in bytes, a mark, and the bytes, padded to words.
const (
	wordSize        = 4
	chunkHeader     = 2 // words
	chunkMargin     = (chunkHeader + 1) * wordSize
	markComplete    = 0xA1A1A1A1
	markDead        = 0xD0D0D0D0
	markIncomplete  = 0xA110CED0
	ringUsersServer = 1 // the creator alone
	ringUsersBoth   = 2
	holdBack        = 1 // flow control: no requests
)

var errRingFull = errors.New("ring is full")

// ring is one direction of a connection, seen from one of its ends. An end
// either writes or reads, so one of the two positions is its own: position is
// the private copy of it, which the other end cannot change.
type ring struct {
	header   []byte
	data     []byte
	words    uint32
	position uint32
	messages semaphore
}

// ringBytes is the size of the data of a ring for messages of a size, as both
// ends work it out: with the margin and a byte, in whole pages.
func ringBytes(maxMessage int) int {
	page := unix.Getpagesize()
	return (maxMessage + chunkMargin + 1 + page - 1) / page * page
}

// newRing takes the two mappings, whose sizes fit each other.
func newRing(header, data []byte) *ring {
	return &ring{
		header: header, data: data, words: uint32(len(data) / wordSize),
		messages: semaphoreAt(header, semaphoreOffset),
	}
}

// create fills the header as the creator of the files does.
func (r *ring) create(headPath, dataPath string) {
	copy(r.header[headPathOffset:headPathOffset+pathSize-1], headPath)
	copy(r.header[dataPathOffset:dataPathOffset+pathSize-1], dataPath)
	atomic.StoreUint32(r.counter(wordsOffset), r.words)
	atomic.StoreUint32(r.counter(usersOffset), ringUsersServer)
	r.messages.init()
}

// join checks a header that the other end has filled, and counts us in.
func (r *ring) join() error {
	if words := atomic.LoadUint32(r.counter(wordsOffset)); words != r.words {
		return fmt.Errorf("%w: ring of %d words in a file of %d", ErrProtocol, words, r.words)
	}
	for _, offset := range []int{writeOffset, readOffset} {
		if at := atomic.LoadUint32(r.counter(offset)); at != 0 {
			return fmt.Errorf("%w: new ring begins at word %d", ErrProtocol, at)
		}
	}
	atomic.AddUint32(r.counter(usersOffset), 1)
	return nil
}

// leave tells the other end that this one is gone.
func (r *ring) leave() { atomic.StoreUint32(r.counter(usersOffset), 0) }

func (r *ring) users() uint32 { return atomic.LoadUint32(r.counter(usersOffset)) }

// flow is the flow control, which the server sets to hold requests back.
func (r *ring) flow() *uint32 { return r.counter(flowOffset) }

func (r *ring) counter(offset int) *uint32 { return (*uint32)(unsafe.Pointer(&r.header[offset])) }

// word is one word of the data, counted from the ring's begin, wrapped.
func (r *ring) word(index uint32) *uint32 {
	return (*uint32)(unsafe.Pointer(&r.data[int(index%r.words)*wordSize]))
}

// own checks that our position is still what we made it.
func (r *ring) own(offset int) error {
	if at := atomic.LoadUint32(r.counter(offset)); at != r.position {
		return fmt.Errorf("%w: position %d of the ring became %d", ErrProtocol, r.position, at)
	}
	return nil
}

// theirs is the position of the other end.
func (r *ring) theirs(offset int) (uint32, error) {
	at := atomic.LoadUint32(r.counter(offset))
	if at >= r.words {
		return 0, fmt.Errorf("%w: position %d in a ring of %d words", ErrProtocol, at, r.words)
	}
	return at, nil
}

// chunkWords is what a message of a size takes.
func chunkWords(size int) uint32 { return chunkHeader + uint32((size+wordSize-1)/wordSize) }

// write puts a message, given in parts, into the ring and tells the reader.
// Errors: errRingFull, ErrProtocol.
func (r *ring) write(parts ...[]byte) error {
	if err := r.own(writeOffset); err != nil {
		return err
	}
	read, err := r.theirs(readOffset)
	if err != nil {
		return err
	}
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	if size+chunkMargin > r.free(read) {
		return errRingFull
	}
	*r.word(r.position) = 0
	atomic.StoreUint32(r.word(r.position+1), markIncomplete)
	at := int((r.position+chunkHeader)%r.words) * wordSize
	for _, part := range parts {
		at = r.copyIn(at, part)
	}
	// pmxcfs looks at the byte behind some requests and wants a zero there.
	// The margin keeps this word free.
	r.copyIn(at, make([]byte, wordSize+(wordSize-size%wordSize)%wordSize))

	begin := r.position
	*r.word(begin) = uint32(size)
	r.position = (begin + chunkWords(size)) % r.words
	atomic.StoreUint32(r.counter(writeOffset), r.position)
	atomic.StoreUint32(r.word(begin+1), markComplete)
	if err := r.messages.post(); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return nil
}

// free is how many bytes the writer has, chunk header included. Positions
// that are equal mean an empty ring or a full one.
func (r *ring) free(read uint32) int {
	switch {
	case r.position != read:
		return int((read+r.words-r.position)%r.words-1) * wordSize
	case r.messages.value() > 0:
		return 0
	default:
		return len(r.data)
	}
}

// copyIn puts bytes at an offset of the data, wrapped, and returns the next.
func (r *ring) copyIn(at int, bytes []byte) int {
	n := copy(r.data[at:], bytes)
	copy(r.data, bytes[n:])
	return (at + len(bytes)) % len(r.data)
}

// ready says whether a whole message lies at the reader's position.
func (r *ring) ready() bool {
	return atomic.LoadUint32(r.word(r.position+1)) == markComplete
}

// read takes the next message out, after the semaphore has said that there is
// one. The error is ErrProtocol.
func (r *ring) read() ([]byte, error) {
	if err := r.own(readOffset); err != nil {
		return nil, err
	}
	if !r.ready() {
		return nil, fmt.Errorf("%w: no message where one was announced", ErrProtocol)
	}
	written, err := r.theirs(writeOffset)
	if err != nil {
		return nil, err
	}
	size := *r.word(r.position)
	filled := (written + r.words - r.position) % r.words
	if int64(size) > int64(len(r.data)) || chunkWords(int(size)) > filled {
		return nil, fmt.Errorf("%w: message of %d bytes in %d words", ErrProtocol, size, filled)
	}
	message := make([]byte, size)
	at := int((r.position+chunkHeader)%r.words) * wordSize
	n := copy(message, r.data[at:])
	copy(message[n:], r.data)

	*r.word(r.position) = 0
	atomic.StoreUint32(r.word(r.position+1), markDead)
	r.position = (r.position + chunkWords(int(size))) % r.words
	atomic.StoreUint32(r.counter(readOffset), r.position)
	return message, nil
}

// guard runs what touches shared memory. Should the other end have cut the
// file under the mapping, the fault becomes an error.
func guard(touch func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		switch fault := recover().(type) {
		case nil:
		case interface {
			runtime.Error
			Addr() uintptr
		}:
			err = fmt.Errorf("%w: shared memory was taken away", ErrProtocol)
		default:
			panic(fault)
		}
	}()
	return touch()
}
