package rabbitmq_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox/rabbitmq"
)

// wire is a connection that remembers each write.
type wire struct {
	net.Conn
	writes [][]byte
	fail   error
	closed bool
}

func (w *wire) Write(p []byte) (int, error) {
	if w.fail != nil {
		return 0, w.fail
	}
	w.writes = append(w.writes, bytes.Clone(p))
	return len(p), nil
}

func (w *wire) SetWriteDeadline(time.Time) error { return nil }

func (w *wire) Close() error {
	w.closed = true
	return nil
}

func write(t *testing.T, s rabbitmq.Socket, text string) {
	t.Helper()
	if n, err := s.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("Write: %d, %v", n, err)
	}
}

func (w *wire) want(t *testing.T, want ...string) {
	t.Helper()
	if len(w.writes) != len(want) {
		t.Fatalf("%d writes (%q), want %q", len(w.writes), w.writes, want)
	}
	for i := range want {
		if string(w.writes[i]) != want[i] {
			t.Errorf("write %d is %q, want %q", i, w.writes[i], want[i])
		}
	}
}

func TestSocketHoldsBack(t *testing.T) {
	t.Parallel()
	w := &wire{}
	s := rabbitmq.NewSocket(w, time.Second)
	write(t, s, "a")
	w.want(t, "a")
	s.Cork()
	write(t, s, "b")
	write(t, s, "c")
	w.want(t, "a")
	s.Uncork()
	w.want(t, "a", "bc")
	s.Cork()
	s.Uncork() // nothing to write
	write(t, s, "d")
	w.want(t, "a", "bc", "d")
}

// Whoever uncorks waits for answers next: what it wrote goes out, whoever else
// is about to write more.
func TestSocketSharedByWindows(t *testing.T) {
	t.Parallel()
	w := &wire{}
	s := rabbitmq.NewSocket(w, time.Second)
	s.Cork()
	write(t, s, "a")
	s.Cork()
	write(t, s, "b")
	s.Uncork()
	w.want(t, "ab")
	write(t, s, "c")
	w.want(t, "ab")
	s.Uncork()
	w.want(t, "ab", "c")
}

func TestSocketHoldsBackSoMuch(t *testing.T) {
	t.Parallel()
	w := &wire{}
	s := rabbitmq.NewSocket(w, time.Second)
	s.Cork()
	message := string(bytes.Repeat([]byte("x"), 10_000))
	for range 7 {
		write(t, s, message)
	}
	if len(w.writes) != 1 || len(w.writes[0]) != 40_000 {
		t.Errorf("%d writes, want one of 40,000 bytes", len(w.writes))
	}
	s.Uncork()
	if len(w.writes) != 2 || len(w.writes[1]) != 30_000 {
		t.Errorf("%d writes, want the rest as the second", len(w.writes))
	}
}

// A write that fails after its caller was told that it had been written ends the
// connection, so that the caller's answer never comes from another one.
func TestSocketFailsLate(t *testing.T) {
	t.Parallel()
	cut := errors.New("cut")
	w := &wire{fail: cut}
	s := rabbitmq.NewSocket(w, time.Second)
	s.Cork()
	write(t, s, "a")
	s.Uncork()
	if !w.closed {
		t.Error("the connection is open")
	}
	if _, err := s.Write([]byte("b")); !errors.Is(err, cut) {
		t.Errorf("the next write: %v, want %v", err, cut)
	}
	s.Cork()
	s.Uncork()
	if _, err := s.Write([]byte("c")); !errors.Is(err, cut) {
		t.Errorf("the write after it: %v, want %v", err, cut)
	}
}

// A peer that reads nothing does not hang the writer.
func TestSocketDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer func() { _ = theirs.Close() }()
		s := rabbitmq.NewSocket(ours, time.Second)
		began := time.Now()
		s.Cork()
		write(t, s, "a")
		s.Uncork()
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("waited %v", waited)
		}
		if _, err := s.Write([]byte("b")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the next write: %v", err)
		}
	})
}
