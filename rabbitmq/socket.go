package rabbitmq

import (
	"context"
	"net"
	"time"
)

// socket gives every write a deadline. The client library sets none, so a peer
// that stops reading would hang the publisher, and its close, for ever.
type socket struct {
	net.Conn
	timeout time.Duration
}

func (s *socket) Write(p []byte) (int, error) {
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
