package command_test

import (
	"testing"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/rabbitmq"
)

type deadList struct {
	Messages []struct {
		ID    string `json:"id"`
		Kind  string `json:"kind"`
		Error string `json:"error"`
	} `json:"messages"`
	Matched  int  `json:"matched"`
	Complete bool `json:"complete"`
}

func TestDeadListAndRequeue(t *testing.T) {
	t.Parallel()
	sh := &shell{t: t, env: map[string]string{"AMQP_URL": testenv.AMQPURL(t)}}
	b := brokerOf(t)
	contains(t, sh.run("dead", "list", "default").err, "no message matches")
	for id, cause := range map[string]string{"m1": "smtp: refused\x1b[2J", "m2": "timeout", "m3": "timeout"} {
		d := core.Delivery{Job: ackbox.Job{
			ID: id, Kind: "mail.send", Queue: "default", RoutingKey: "default", Payload: []byte("{}"), Attempt: 3,
		}}
		if err := b.Bury(t.Context(), d, cause); err != nil {
			t.Fatal(err)
		}
	}
	list := decode[deadList](t, sh.must(0, "dead", "list", "default", "--json", "--error", "timeout"))
	if list.Matched != 2 || len(list.Messages) != 2 || !list.Complete || list.Messages[0].Kind != "mail.send" {
		t.Errorf("%+v", list)
	}
	text := sh.must(0, "dead", "list", "default")
	contains(t, text, "m1", "m2", "m3", `smtp: refused\x1b[2J`)
	lacks(t, text, "\x1b")

	contains(t, sh.must(0, "dead", "requeue", "default", "--id", "m1", "--dry-run"), "m1")
	o := sh.run("dead", "requeue", "default", "--id", "m1") // nobody is there to be asked
	if o.code != 2 {
		t.Errorf("without --yes: %d", o.code)
	}
	sh.must(4, "dead", "requeue", "default", "--id", "m9", "--yes")
	if n := waiting(t, b, "default"); n != 0 {
		t.Fatalf("%d messages were requeued though nobody has confirmed it", n)
	}
	contains(t, sh.must(0, "dead", "requeue", "default", "--error", "timeout", "--yes"), "2 messages requeued to default")
	if n := waiting(t, b, "default"); n != 2 {
		t.Errorf("%d messages wait", n)
	}
	sh.in, sh.terminal = "y\n", true // somebody is
	contains(t, sh.must(0, "dead", "requeue", "default", "--all"), "1 messages requeued")
	if n := waiting(t, b, "default.dead"); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

// waiting is how many messages a queue has.
func waiting(t *testing.T, b *rabbitmq.Broker, queue string) int {
	t.Helper()
	n, err := b.Waiting(t.Context(), queue)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
