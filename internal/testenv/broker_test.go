package testenv_test

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/internal/testenv/management"
)

func TestVhostBelongsToOneTestAndIsGoneAfterIt(t *testing.T) {
	var name, address string
	t.Run("inside", func(t *testing.T) {
		b := testenv.Rabbit(t)
		name, address = b.Vhost(), b.URL()
		if again := testenv.AMQPURL(t); again != address {
			t.Errorf("AMQPURL gave %s, Rabbit %s", again, address)
		}
		if !exists(t, name) {
			t.Errorf("vhost %s was not made", name)
		}
		conn, err := amqp.Dial(address)
		if err != nil {
			t.Fatalf("its URL does not work: %v", err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	if exists(t, name) {
		t.Errorf("vhost %s is still there after its test", name)
	}
	if conn, err := amqp.Dial(address); err == nil {
		t.Errorf("its user can still log in; close: %v", conn.Close())
	}
}

func TestQueuesOfAnOutsider(t *testing.T) {
	b := testenv.Rabbit(t)
	b.DeclareExchange("events", "topic")
	b.DeleteExchange("events")
	b.DeclareQueue("mail", map[string]any{"x-queue-type": "quorum"})
	b.DeclareQueue("sms", nil)
	names := func() (names []string) {
		for _, q := range b.Queues() {
			names = append(names, q.Name+"/"+q.Type)
		}
		slices.Sort(names)
		return names
	}
	if got, want := names(), []string{"mail/quorum", "sms/classic"}; !slices.Equal(got, want) {
		t.Errorf("queues = %v, want %v", got, want)
	}
	b.DeleteQueue("sms")
	if got, want := names(), []string{"mail/quorum"}; !slices.Equal(got, want) {
		t.Errorf("queues after a deletion = %v, want %v", got, want)
	}
}

func TestCloseConnectionsCutsThemAll(t *testing.T) {
	b := testenv.Rabbit(t)
	var cut []chan *amqp.Error
	for range 3 {
		conn, err := amqp.Dial(b.URL())
		if err != nil {
			t.Fatal(err)
		}
		cut = append(cut, conn.NotifyClose(make(chan *amqp.Error, 1)))
	}
	if got := b.CloseConnections(len(cut)); got != len(cut) {
		t.Errorf("CloseConnections() = %d, want %d", got, len(cut))
	}
	for i, c := range cut {
		select {
		case err := <-c:
			if err == nil || err.Code != amqp.ConnectionForced {
				t.Errorf("connection %d ended with %v, want %d", i, err, amqp.ConnectionForced)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("connection %d is still open", i)
		}
	}
}

func exists(t *testing.T, vhost string) bool {
	t.Helper()
	api, err := management.New(os.Getenv(testenv.APIVar))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ok, err := api.HasVhost(ctx, vhost)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}
