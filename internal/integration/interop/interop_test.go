package interop_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/internal/testenv/servers"
	"github.com/ackbox/ackbox/rabbitmq"
)

// each is how many orders a client publishes, numbered from 0.
const each = 1000

const exchange = "shop.events"

// want is what the clients say of order n, and what is to become of it. They publish:
//
//   - by the topic exchange (even n) or the default exchange (odd n);
//   - with the property type, unless 3 divides n; then with the header event if n is
//     even, and with nothing that says what it is if n is odd;
//   - with a message-id, unless 4 divides n;
//   - with headers of bytes, null, boolean, integer, float, table and array, and with a
//     priority, if 5 divides n;
//   - in gzip, if 7 divides n.
//
// Of 101 one always fails (17, 118, ...), and of the others one of 10 fails twice.
type want struct {
	kind, exchange, key string
	hasID, always       bool
	attempt             int
}

func wanted(client string, n int) want {
	w := want{kind: "order.paid", key: client + ".orders", hasID: n%4 != 0, always: n%101 == 17, attempt: 1}
	if n%2 == 0 {
		w.exchange, w.key = exchange, client+".order.paid"
	}
	if n%3 == 0 && n%2 != 0 {
		w.kind = "order.unnamed"
	}
	switch {
	case w.always:
		w.attempt = maxAttempts + 1 // the first of its second round
	case n%10 == 1:
		w.attempt = 3
	}
	return w
}

// cameAt reports whether the effect may be of that try. Of copies that died at different
// tries any may be handled first when they are requeued.
func (w want) cameAt(attempt int) bool {
	return attempt == w.attempt || w.always && attempt > 1 && attempt < w.attempt
}

// number is the number of an order, such as "js-17".
func number(order string) int {
	_, n, _ := strings.Cut(order, "-")
	i, err := strconv.Atoi(n)
	if err != nil {
		return -1
	}
	return i
}

// 2,000 messages of two clients in other languages, to queues that these have declared,
// while the broker is restarted and workers are killed: each has its effect once, or is
// in its dead queue with all that people ask of it, from where it comes back.
func TestMessagesOfOthers(t *testing.T) {
	began := time.Now()
	node := startRabbitMQ(t)
	dsn := testenv.DatabaseURL(t)
	db := testenv.Postgres(t)
	store, err := newStore(db)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(store.Migrate(t.Context()), db.Exec(tables).Error); err != nil {
		t.Fatal(err)
	}
	client := func(name string, command ...string) *program {
		return start(t, name, []string{
			"AMQP_URL=" + node.URL(), "QUEUE=" + name + ".orders", "EXCHANGE=" + exchange, "PREFIX=" + name,
			"COUNT=" + strconv.Itoa(each), "NODE_PATH=" + modules(t),
		}, command...)
	}
	js := client("js", "node", "testdata/publish.js")
	py := client("py", python, "testdata/publish.py")
	worker := func() *program {
		return start(t, "worker", []string{workerVar + "=1", "DATABASE_URL=" + dsn, "AMQP_URL=" + node.URL()}, os.Args[0])
	}
	workers := []*program{worker(), worker()}
	effects := func() int { return count(t, db, "SELECT count(*) FROM effects") }
	kills := 0
	killAt := func(n int) {
		eventually(t, fmt.Sprintf("%d effects", n), func() error { return atLeast(effects(), n) })
		i := kills % len(workers)
		workers[i].kill()
		workers[i] = worker()
		kills++
	}

	killAt(100)
	eventually(t, "both clients are under way", func() error {
		return atLeast(min(js.progress().Confirmed, py.progress().Confirmed), 300)
	})
	restart(t, node)
	killAt(effects() + 200)
	killAt(effects() + 200)
	js.wait(t, time.Minute)
	py.wait(t, time.Minute)

	const dead = 2 * 10
	eventually(t, "all that can be handled is, and the others are dead", func() error {
		return errors.Join(atLeast(effects(), 2*each-dead), atLeast(count(t, db, "SELECT count(DISTINCT order_no) FROM deaths"), dead))
	})
	broker, err := newBroker(node.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = broker.Close() }()
	copies := 0
	for _, q := range queues {
		eventually(t, q+": its dead messages are buried", func() error { return atLeast(len(buried(t, broker, q)), dead/2) })
		copies += len(checkDead(t, node, broker, q))
	}
	if err := db.Exec("INSERT INTO repaired VALUES (now())").Error; err != nil {
		t.Fatal(err)
	}
	for _, q := range queues {
		requeue(t, broker, q)
	}
	eventually(t, "the dead ones are handled, too", func() error { return atLeast(effects(), 2*each) })
	for _, q := range queues {
		eventually(t, q+" is empty, and all beside it", func() error { return empty(t, node, q) })
	}
	for _, w := range workers {
		w.terminate(t)
	}
	balance(t, db)
	j, p := js.progress(), py.progress()
	t.Logf("RESULT published %d (again after lost connections: js %d, py %d; connections %d and %d), broker restarts 1, workers killed %d, "+
		"effects %d, of different orders %d, failed twice %d, died %d (copies in dead queues %d), requeued by filter and handled %d, lost %d, %.1f s",
		j.Published+p.Published, j.Again, p.Again, j.Connections, p.Connections, kills,
		effects(), count(t, db, "SELECT count(DISTINCT order_no) FROM effects"),
		count(t, db, "SELECT count(*) FROM effects WHERE attempt = 3 AND order_no NOT IN (SELECT order_no FROM deaths)"),
		count(t, db, "SELECT count(*) FROM deaths"), copies,
		count(t, db, "SELECT count(*) FROM effects WHERE order_no IN (SELECT order_no FROM deaths)"),
		2*each-count(t, db, "SELECT count(DISTINCT order_no) FROM effects"), time.Since(began).Seconds())
}

// balance compares the effects with what the clients have published.
func balance(t *testing.T, db *gorm.DB) {
	t.Helper()
	var rows []struct {
		OrderNo, JobID, Kind, Exchange, RoutingKey string
		Attempt                                    int
	}
	if err := db.Table("effects").Find(&rows).Error; err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	for _, r := range rows {
		client, _, _ := strings.Cut(r.OrderNo, "-")
		w := wanted(client, number(r.OrderNo))
		seen[r.OrderNo]++
		if r.Kind != w.kind || r.Exchange != w.exchange || r.RoutingKey != w.key || !w.cameAt(r.Attempt) || w.hasID != (r.JobID == r.OrderNo) {
			t.Errorf("order %s came as %+v, want %+v", r.OrderNo, r, w)
		}
	}
	for _, client := range []string{"js", "py"} {
		for n := range each {
			if order := client + "-" + strconv.Itoa(n); seen[order] != 1 {
				t.Errorf("order %s has %d effects", order, seen[order])
			}
		}
	}
	var complaints []string
	if err := db.Raw("SELECT order_no || ': ' || what FROM complaints LIMIT 10").Scan(&complaints).Error; err != nil {
		t.Fatal(err)
	}
	for _, c := range complaints {
		t.Error(c)
	}
	if n := count(t, db, "SELECT count(*) FROM deaths"); n != 20 {
		t.Errorf("%d deaths were written down, want 20", n)
	}
}

func buried(t *testing.T, b *rabbitmq.Broker, queue string) map[string][]ackbox.DeadMessage {
	t.Helper()
	report, err := b.Dead(t.Context(), queue, ackbox.DeadFilter{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	byID := make(map[string][]ackbox.DeadMessage)
	for _, m := range report.Messages {
		byID[m.ID] = append(byID[m.ID], m)
	}
	return byID
}

func startRabbitMQ(t *testing.T) *servers.RabbitMQ {
	t.Helper()
	node, err := servers.NewRabbitMQ(servers.RabbitMQOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = node.Remove() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := node.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, node) })
	return node
}

func stop(t *testing.T, node *servers.RabbitMQ) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := node.Stop(ctx); err != nil {
		t.Errorf("stop the broker: %v", err)
	}
}

func restart(t *testing.T, node *servers.RabbitMQ) {
	t.Helper()
	stop(t, node)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := node.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, db *gorm.DB, query string) int {
	t.Helper()
	var n int
	if err := db.Raw(query).Scan(&n).Error; err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func atLeast(n, want int) error {
	if n < want {
		return fmt.Errorf("%d of %d", n, want)
	}
	return nil
}

func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := servers.Until(ctx, func(context.Context) error { return check() }); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func withChannel(t *testing.T, url string, use func(*amqp.Channel) error) {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if err := use(ch); err != nil {
		t.Fatal(err)
	}
}
