package rabbitmq_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/rabbitmq"
)

const password = "s3cr3t-pa55word"

// log collects what is logged, from any goroutine.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *log) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestPasswordIsNotInErrorsOfUnparsableURLs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"amqp://user:" + password + "@host:port/",
		"amqp://user:" + password + "@host:99999999999/",
		"amqp://user:" + password + "%zz@host/",
		"amqp://user:" + password + "@ho st/",
		"amqp://user:" + password + "@host/%zz",
		"amqp://user:" + password + "\x7f@host/",
		"amqp://user:/" + password + "@host/",
		"amqp://user:1/" + password + "@host/",
		"amqp://user:1?" + password + "@host/",
		"amqp://user:1#" + password + "@host/",
		"amqp://user:" + password + "@[::1/",
		"amqp://user:" + password + "@host/?heartbeat=" + password,
		"://user:" + password + "@host/",
		"user:" + password + "@host",
		password + "://host",
	} {
		cfg := rabbitmq.Config{URL: url}
		_, err := rabbitmq.New(cfg)
		if err == nil {
			t.Errorf("New accepts %q", url)
			continue
		}
		for _, shown := range []string{err.Error(), fmt.Sprintf("%+v %#v %s", cfg, cfg, cfg)} {
			if strings.Contains(shown, password) {
				t.Errorf("%q shows the password", shown)
			}
		}
	}
}

func TestPasswordIsNotShownByStringMethods(t *testing.T) {
	t.Parallel()
	var out log
	cfg := rabbitmq.Config{Logger: out.logger(), URLs: []string{
		"amqp://user:" + password + "@example.org:5673/shop", "amqp://user:" + password + "@example.org:5674/shop",
	}}
	b, err := rabbitmq.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	out.logger().Info("both", "config", cfg, "broker", b)
	shown := out.String() + fmt.Sprintf("%v %+v %#v %s %v %+v %#v", cfg, cfg, cfg, b, b, b, struct{ B any }{b})
	if strings.Contains(shown, password) || strings.Contains(shown, "user") {
		t.Errorf("%q shows user or password", shown)
	}
	for _, want := range []string{"amqp://example.org:5673/shop", "amqp://example.org:5674/shop"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q does not show %q", b, want)
		}
	}
}

// stranger accepts connections and treats each as given, until the test ends.
func stranger(t *testing.T, treat func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				treat(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

func hangUp(net.Conn) {}

func babble(conn net.Conn) {
	_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
	_, _ = io.Copy(io.Discard, conn)
}

func freeze(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

func TestFailingConnects(t *testing.T) {
	t.Parallel()
	closed := func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	tests := map[string]struct {
		scheme  string
		address func(*testing.T) string
	}{
		"refused":         {"amqp", closed},
		"hangs up":        {"amqp", func(t *testing.T) string { return stranger(t, hangUp) }},
		"speaks HTTP":     {"amqp", func(t *testing.T) string { return stranger(t, babble) }},
		"frozen":          {"amqp", func(t *testing.T) string { return stranger(t, freeze) }},
		"no TLS":          {"amqps", func(t *testing.T) string { return stranger(t, babble) }},
		"TLS hangs up":    {"amqps", func(t *testing.T) string { return stranger(t, hangUp) }},
		"TLS frozen":      {"amqps", func(t *testing.T) string { return stranger(t, freeze) }},
		"TLS, no address": {"amqps", func(*testing.T) string { return "host.invalid:5671" }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out log
			b, err := rabbitmq.New(rabbitmq.Config{
				URL:         test.scheme + "://user:" + password + "@" + test.address(t) + "/",
				Logger:      out.logger(),
				DialTimeout: 100 * time.Millisecond,
				MinBackoff:  time.Millisecond,
				MaxBackoff:  10 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			shown := []string{}
			for _, o := range b.Publish(ctx, []ackbox.Job{{ID: "1", Mandatory: true}}) {
				if o.Status != core.Unknown || o.Reason == "" {
					t.Errorf("outcome is %+v, want unknown with a reason", o)
				}
				shown = append(shown, o.Reason)
			}
			if err := b.Ready(ctx); err == nil {
				t.Error("Ready although nobody answers")
			} else if ctx.Err() == nil {
				t.Errorf("Ready gave up before its time: %v", err)
			} else {
				shown = append(shown, err.Error())
			}
			if _, err := b.Waiting(ctx, ackbox.DefaultQueue); err != nil {
				shown = append(shown, err.Error())
			}
			// On a busy machine half a second may be too short for one failure.
			for late := time.Now().Add(30 * time.Second); out.String() == "" && time.Now().Before(late); {
				again, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				_ = b.Ready(again)
				cancel()
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			shown = append(shown, out.String())
			if n := strings.Count(out.String(), "level="); n < 1 || n > 2 {
				t.Errorf("an outage is logged %d times, want once per connection:\n%s", n, out.String())
			}
			for _, text := range shown {
				if strings.Contains(text, password) {
					t.Errorf("%q shows the password", text)
				}
			}
		})
	}
}

func TestCloseEndsWaiting(t *testing.T) {
	t.Parallel()
	var out log
	b, err := rabbitmq.New(rabbitmq.Config{URL: "amqp://u:p@" + stranger(t, freeze) + "/", Logger: out.logger()})
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 3)
	go func() { waiting <- b.Ready(context.Background()) }()
	go func() { waiting <- b.Ready(context.Background()) }()
	go func() {
		waiting <- b.Consume(context.Background(), ackbox.DefaultQueue, 1, func(core.Delivery) {})
	}()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		select {
		case err := <-waiting:
			if err == nil || !strings.Contains(err.Error(), ackbox.ErrClosed.Error()) {
				t.Errorf("error is %v, want ErrClosed", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a call is still waiting after Close")
		}
	}
}
