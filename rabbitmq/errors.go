package rabbitmq

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"syscall"

	amqp "github.com/rabbitmq/amqp091-go"
)

// errLost is the cause of a connection's end where the client knows no other.
var errLost = errors.New("connection lost")

// permanent reports that err is a refusal which only a change of somebody's
// configuration can heal: bad credentials or missing permission (403), a
// missing entity in passive mode (404), a locked one (405), argument drift
// (406), an unknown vhost (530).
func permanent(err error) bool {
	return each(err, func(err error) bool {
		switch code(err) {
		case amqp.AccessRefused, amqp.NotFound, amqp.ResourceLocked, amqp.PreconditionFailed, amqp.NotAllowed:
			return true
		}
		return false
	})
}

// guessed reports that err is the client's guess at why the connection ended
// during the login, and not the broker's word. RabbitMQ drops a connection with
// a wrong password in silence, and a broken line looks just like that.
func guessed(err error) bool {
	return errors.Is(err, amqp.ErrCredentials) || errors.Is(err, amqp.ErrVhost)
}

// hungUp reports that the broker ended a connection without a word of AMQP. In
// TLS 1.3 that is how a client learns that its certificate was refused: it may
// see the alert, or only the reset that follows; or that the client's reader, which saw
// one of these, has closed the socket under it.
func hungUp(err error) bool {
	return code(err) == amqp.FrameError || errors.Is(err, amqp.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// code is the AMQP reply code inside err, 0 if there is none.
func code(err error) int {
	var e *amqp.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// deleted reports that a queue does not exist, in the broker's words. A queue
// whose node is down is not found either, but is still there.
func deleted(err error) bool {
	var e *amqp.Error
	return errors.As(err, &e) && e.Code == amqp.NotFound && strings.Contains(e.Reason, "no queue '")
}

// soft reports that the broker closed a channel because of one message or
// command, and not because of the connection.
func soft(err *amqp.Error) bool {
	switch err.Code {
	case amqp.ContentTooLarge, amqp.NoConsumers, amqp.AccessRefused, amqp.NotFound, amqp.ResourceLocked, amqp.PreconditionFailed:
		return true
	}
	return false
}

var (
	inequivalent = regexp.MustCompile(`inequivalent arg '([^']*)' for (queue|exchange) '([^']*)' in vhost '.*': received (.+) but current is (.+)$`)
	typedValue   = regexp.MustCompile(`^the value '(.*)' of type '[^']*'$`)
)

// explain turns the broker's answer to a declaration into an error that names
// what is declared and, upon argument drift, the argument with both values.
func explain(kind, name string, err error) error {
	var e *amqp.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s %s: %w", kind, name, err)
	}
	if m := inequivalent.FindStringSubmatch(e.Reason); m != nil {
		return fmt.Errorf("%s %s: argument %s is %s on the server, %s in Config.Topology: change the one, or delete the %s and let it be declared anew: %w",
			m[2], m[3], m[1], driftValue(m[5]), driftValue(m[4]), m[2], err)
	}
	if e.Code == amqp.NotFound {
		return fmt.Errorf("%s %s does not exist: %w", kind, name, err)
	}
	return fmt.Errorf("%s %s: %w", kind, name, err)
}

func driftValue(s string) string {
	s = strings.TrimSpace(s)
	if s == "none" {
		return "not set"
	}
	if m := typedValue.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return strings.Trim(s, "'")
}
