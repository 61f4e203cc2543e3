package command_test

import (
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

type compared struct {
	Queue    string `json:"queue"`
	Late     int    `json:"late"`
	Road     int    `json:"on_the_road"`
	Held     int    `json:"in_hand"`
	Refused  int    `json:"refused"`
	Ready    int    `json:"broker_ready"`
	Dead     int    `json:"broker_dead"`
	Missing  int    `json:"missing"`
	Suspects []struct {
		ID  string `json:"id"`
		Why string `json:"why"`
	} `json:"suspects"`
}

func (c compared) suspects(id, why string) bool {
	for _, s := range c.Suspects {
		if s.ID == id && s.Why == why {
			return true
		}
	}
	return false
}

var quorum = map[string]any{"x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000}

// Verify finds each sort of job with which something is wrong, and none that is well; and
// it changes nothing.
func TestVerifyFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	sh, db, _ := newShell(t)
	testenv.Rabbit(t).DeclareQueue("default", quorum)
	long := time.Now().Add(-time.Hour)
	gone := outbox.NewID()

	insert(t, db, "state, due_at", "pending", time.Now().Add(time.Hour))                 // not due
	insert(t, db, "state, sent_at, seen_at", "sent", time.Now(), time.Now())             // on its way
	insert(t, db, "state, sent_at, seen_at, finished_at", "done", long, long, long)      // over
	lost := insert(t, db, "state, sent_at, seen_at", "sent", long, long)                 // no message
	late := insert(t, db, "state, due_at", "pending", long)                              // nobody sends it
	refused := insert(t, db, "state, refused_at", "refused", long)                       // nobody asks any more
	orphan := insert(t, db, "state, sent_at, seen_at, holder", "sent", long, long, gone) // its instance is gone
	crashing := insert(t, db, "state, sent_at, seen_at, holder, started_at, starts", "sent", long, long, gone, long, 12)

	before := fingerprint(t, db)
	list := decode[[]compared](t, sh.must(3, "verify", "--json"))
	if len(list) != 1 || list[0].Queue != "default" {
		t.Fatalf("queues: %+v", list)
	}
	got := list[0]
	if got.Late != 1 || got.Road != 1 || got.Held != 2 || got.Refused != 1 || got.Ready != 0 || got.Missing != 1 {
		t.Errorf("counts: %+v", got)
	}
	for id, why := range map[string]string{lost: "adrift", late: "late", refused: "refused", orphan: "orphaned", crashing: "crashing"} {
		if !got.suspects(id, why) {
			t.Errorf("job %s is not among the suspects as %s: %+v", id, why, got.Suspects)
		}
	}
	if n := len(got.Suspects); n != 6 { // what crashes is orphaned, too
		t.Errorf("%d suspects: %+v", n, got.Suspects)
	}
	if after := fingerprint(t, db); after != before {
		t.Error("verify has changed the table")
	}
	contains(t, sh.must(3, "verify"), "at least 1 job sent and lost", "1 job due and not published", "1 job refused", lost)
	lacks(t, sh.must(0, "verify", "--queue", "other"), lost)
}

// What the broker has is not lost, however long it waits there.
func TestVerifyAgrees(t *testing.T) {
	t.Parallel()
	sh, db, store := newShell(t)
	road := brokerOf(t)
	for range 3 {
		if err := store.Enqueue(t.Context(), db, report{1}, outbox.OwnTransaction()); err != nil {
			t.Fatal(err)
		}
	}
	relay(t, store, road, 3)
	exec(t, db, "UPDATE ackbox_jobs SET sent_at = now() - interval '1 hour', seen_at = now() - interval '1 hour'")
	list := decode[[]compared](t, sh.must(0, "verify", "--json"))
	if len(list) != 1 || list[0].Road != 3 || list[0].Ready != 3 || list[0].Missing != 0 || len(list[0].Suspects) != 0 {
		t.Errorf("%+v", list)
	}
	contains(t, sh.must(0, "verify"), "agrees")

	testenv.Rabbit(t).DeleteQueue("default")
	list = decode[[]compared](t, sh.must(3, "verify", "--json"))
	if len(list) != 1 || list[0].Missing != 3 || len(list[0].Suspects) != 3 {
		t.Errorf("without the queue: %+v", list)
	}
	contains(t, sh.must(3, "verify"), "the queue is not there")
}

func TestVerifyWithoutABroker(t *testing.T) {
	t.Parallel()
	sh, db, _ := newShell(t)
	insert(t, db, "state, due_at", "pending", time.Now().Add(-time.Hour))
	sh.env["AMQP_URL"] = "amqp://guest:opensesame@127.0.0.1:1/"
	o := sh.run("verify", "--timeout", "1s")
	if o.code != 3 {
		t.Errorf("exit code %d", o.code)
	}
	contains(t, o.out, "the broker could not be asked", "1 job due and not published", "?")
	lacks(t, o.out+o.err, "opensesame")
}
