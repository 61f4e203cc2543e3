package messages_test

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/testenv"
)

// What an older receiver has in flight, in its queue and in the one where its failures
// wait for a TTL, is taken over as it stands: with the tries that it has had, by the
// receiver's own code, and once where a kind has moved to a handler with the inbox.
func TestTakeover(t *testing.T) {
	t.Parallel()
	url, dsn := testenv.AMQPURL(t), testenv.DatabaseURL(t)
	ch := channel(t, url)
	args := amqp.Table{"x-max-priority": int32(5), "x-message-ttl": int32(86_400_000)}
	waiting := amqp.Table{"x-message-ttl": int32(3000), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "orders"}
	for name, args := range map[string]amqp.Table{"orders": args, "orders_retry_3": waiting} {
		if _, err := ch.QueueDeclare(name, true, false, false, false, args); err != nil {
			t.Fatal(err)
		}
	}
	publish := func(queue, body string, p amqp.Publishing) {
		t.Helper()
		p.Body, p.DeliveryMode = []byte(body), amqp.Persistent
		if err := ch.Publish("", queue, true, false, p); err != nil {
			t.Fatal(err)
		}
	}
	publish("orders", `{"order":1}`, amqp.Publishing{MessageId: "m1"})
	publish("orders_retry_3", `{"order":2,"id":"o2"}`, amqp.Publishing{Type: "order.paid", Headers: amqp.Table{"retry_nums": int32(2)}})
	publish("orders_retry_3", `{"order":3,"no_address":true}`, amqp.Publishing{MessageId: "m3", Headers: amqp.Table{"retry_nums": int64(3)}})
	publish("orders", `{"order":4,"no_address":true}`, amqp.Publishing{MessageId: "m4", Headers: amqp.Table{"retry_nums": "2"}})
	for range 3 { // one that is not sure whether it was confirmed
		publish("orders", `{"order":5}`, amqp.Publishing{MessageId: "m5", Headers: amqp.Table{"event": "order.paid"}})
	}

	db := testenv.Postgres(t)
	worker := start(t, "DATABASE_URL="+dsn, "AMQP_URL="+url)
	broker := open(t, url, ackbox.Topology{Queues: []ackbox.Queue{{Name: "orders", Type: ackbox.Classic, Passive: true}}})
	var dead ackbox.DeadReport
	eventually(t, "all is handled", func(ctx context.Context) (err error) {
		if dead, err = broker.Dead(ctx, "orders", ackbox.DeadFilter{}, 10); err != nil {
			return err
		}
		var mails, invoices []string
		if err := list(db, &mails, "SELECT concat_ws(' ', \"order\", failed) FROM mails ORDER BY 1"); err != nil {
			return err
		}
		if err := list(db, &invoices, "SELECT concat_ws(' ', \"order\", attempt) FROM invoices ORDER BY 1"); err != nil {
			return err
		}
		if !slices.Equal(mails, []string{"1 f", "3 t", "4 t"}) || !slices.Equal(invoices, []string{"2 3", "5 1"}) || dead.Matched != 2 {
			return fmt.Errorf("mails %q, invoices %q, %d dead", mails, invoices, dead.Matched)
		}
		return nil
	})
	worker.stop(t)
	for _, m := range dead.Messages {
		if m.Attempt != 4 || m.Kind != "order.mail" || m.ID != "m3" && m.ID != "m4" || m.Error == "" || m.Message.Headers["retry_nums"] == nil {
			t.Errorf("dead: id %q, kind %q, attempt %d, error %q, headers %v", m.ID, m.Kind, m.Attempt, m.Error, m.Message.Headers)
		}
	}
	for name, args := range map[string]amqp.Table{"orders": args, "orders_retry_3": waiting} { // still theirs, and empty
		if q, err := ch.QueueDeclare(name, true, false, false, false, args); err != nil || q.Messages != 0 {
			t.Errorf("%s has %d messages (%v)", name, q.Messages, err)
		}
	}
	if n := count(t, db, "SELECT count(*) FROM ackbox_jobs_inbox"); n != 2 {
		t.Errorf("the inbox has %d entries, want 2: orders 2 and 5", n)
	}
}

// process is a running examples/migrate.
type process struct {
	cmd  *exec.Cmd
	log  bytes.Buffer
	done chan struct{}
	err  error // valid after done
}

func start(t *testing.T, env ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(migrate), done: make(chan struct{})}
	p.cmd.Env = append(p.cmd.Environ(), env...)
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process, which Cleanup ends
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended by itself
		<-p.done
		if t.Failed() {
			t.Logf("log of examples/migrate:\n%s", &p.log)
		}
	})
	return p
}

// stop asks the process to end, which it has to with status 0.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.done
	if p.err != nil {
		t.Errorf("examples/migrate ended with %v", p.err)
	}
}

func list(db *gorm.DB, into *[]string, query string) error { return db.Raw(query).Scan(into).Error }

func count(t *testing.T, db *gorm.DB, query string) (n int64) {
	t.Helper()
	if err := db.Raw(query).Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}
