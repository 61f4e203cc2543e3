package interop_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/rabbitmq"
)

// example is a program in the documentation: its first line is a comment with its name.
var example = regexp.MustCompile("(?ms)^```(js|python)\n(?:// |# )(\\w+\\.(?:js|py))\\b(.*?)^```$")

// The programs of docs/messages.md run as they stand there, and what they publish comes
// with all that it says of itself.
func TestDocumentedPrograms(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/messages.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := example.FindAllStringSubmatch(string(text), -1)
	fences := strings.Count(string(text), "\n```js\n") + strings.Count(string(text), "\n```python\n")
	if len(programs) != fences || fences < 2 {
		t.Fatalf("%d programs name their file in their first line, of %d in JavaScript and Python", len(programs), fences)
	}
	url, dir := testenv.AMQPURL(t), t.TempDir()
	env := []string{"AMQP_URL=" + url, "NODE_PATH=" + modules(t)}
	runs := map[string]string{"js": "node", "python": python}
	for _, p := range programs {
		language, name, fence := p[1], p[2], p[0]
		body := strings.TrimSuffix(fence[strings.Index(fence, "\n")+1:], "```")
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		start(t, name, env, runs[language], path).wait(t, time.Minute)
	}
	for _, d := range consumed(t, url, "orders", len(programs)) {
		m := d.Message
		if d.ID != m.ID || d.IDFromContent || !strings.HasPrefix(m.ID, "order-47") || m.Type != "order.paid" || m.ContentType != "application/json" ||
			m.RoutingKey != "orders" || m.Headers["tenant"] != "eu" || time.Since(m.Timestamp).Abs() > time.Hour || !strings.Contains(string(m.Body), `"total"`) {
			t.Errorf("a message came as %+v", m)
		}
	}
}

// consumed takes n messages from a queue that others have declared.
func consumed(t *testing.T, url, queue string, n int) (taken []core.Delivery) {
	t.Helper()
	b, err := rabbitmq.New(rabbitmq.Config{URL: url, Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: queue, Passive: true}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	deliveries := make(chan core.Delivery, n)
	ended := make(chan error, 1)
	go func() { // ends with ctx, which is awaited
		ended <- b.Consume(ctx, queue, n, func(d core.Delivery) {
			select {
			case deliveries <- d:
			default: // more than were expected: the queue keeps them
			}
		})
	}()
	for len(taken) < n {
		select {
		case d := <-deliveries:
			taken = append(taken, d)
			if err := d.Receipt.Ack(); err != nil {
				t.Error(err)
			}
		case err := <-ended:
			t.Fatalf("%d of %d messages: %v", len(taken), n, err)
		}
	}
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("consume: %v", err)
	}
	return taken
}
