package rabbitmq

import (
	"context"
	"net"
	"sync"
	"time"
)

// socket gives every write a deadline. The client library sets none, so a peer
// that stops reading would hang the publisher, and its close, for ever.
//
// It can also hold writes back for a moment: the client writes each message by
// itself, and a window of small ones costs less as a few large writes.
type socket struct {
	net.Conn
	timeout time.Duration

	mu    sync.Mutex
	corks int
	held  []byte
	err   error // of a write that came too late for its caller
}

// maxHeld is how much is held back at most: some frames of a window, and
// enough that the system call no longer counts.
const maxHeld = 32 << 10

// Write implements net.Conn. While s is corked, what it returns says nothing
// about the wire; a failure then is the next caller's, and closes the socket.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return 0, s.err
	case s.corks == 0: // then nothing is held
		return s.write(p)
	}
	s.held = append(s.held, p...)
	if len(s.held) >= maxHeld {
		s.flush()
	}
	return len(p), s.err
}

// cork holds writes back until the uncork that belongs to it. Nobody may wait
// for an answer in between.
func (s *socket) cork() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.corks++
}

// uncork writes what is held, the bytes of others that corked meanwhile, too.
func (s *socket) uncork() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.corks--
	s.flush()
}

func (s *socket) flush() {
	if len(s.held) == 0 || s.err != nil {
		return
	}
	_, s.err = s.write(s.held)
	s.held = s.held[:0]
	if s.err != nil {
		// Whoever wrote it believes that it is on its way: the end of the
		// connection is how they learn.
		_ = s.Close()
	}
}

func (s *socket) write(p []byte) (int, error) {
	if err := s.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		return 0, err
	}
	return s.Conn.Write(p)
}

// dial opens a socket whose handshakes end by dialTimeout.
func dial(ctx context.Context, network, address string, dialTimeout, writeTimeout time.Duration) (*socket, error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	// The client clears this deadline once the AMQP handshake is done.
	if err := conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &socket{Conn: conn, timeout: writeTimeout}, nil
}
