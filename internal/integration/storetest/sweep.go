package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

func testRearm(t *testing.T, b *bench) {
	due, later := b.setUp(ackbox.Nacked), b.setUp(ackbox.Nacked)
	b.shift(due, "due_at", 2*time.Hour)
	if n, err := b.store.Rearm(t.Context(), 10); n != 1 || err != nil {
		t.Errorf("rearmed %d, %v; want 1", n, err)
	}
	b.is(due, ackbox.Pending, 1, 0)
	b.is(later, ackbox.Nacked, 1, 0)
	if jobs := b.relay(sent); len(jobs) != 1 || jobs[0].PublishAttempt != 1 {
		t.Errorf("claimed %v, want the rearmed job with its one refusal", jobs)
	}
}

func testResend(t *testing.T, b *bench) {
	lost, mail, vouched, fresh := b.send(), b.send(outbox.Queue("mail")), b.send(), b.send()
	event := b.send(outbox.Event("x", "y"))
	for _, id := range []string{lost, mail, vouched, event} {
		b.shift(id, "seen_at", time.Hour)
	}
	b.must(b.store.Vouch(t.Context(), []string{vouched, event}))
	finished := b.send()
	b.finish(ackbox.Transition{ID: finished, Attempt: 1, To: ackbox.Done})

	ages, err := b.store.Ages(t.Context())
	b.must(err)
	byQueue := make(map[string]ackbox.QueueAge)
	for _, age := range ages {
		byQueue[age.Queue] = age
	}
	now := byQueue["default"].Now
	if len(ages) != 2 || now.Sub(byQueue["default"].Oldest) < 59*time.Minute || now.Sub(byQueue["mail"].Oldest) < 59*time.Minute ||
		byQueue["default"].Frontier.IsZero() || !byQueue["mail"].Frontier.IsZero() {
		t.Errorf("ages %+v", ages)
	}

	resend := func(queue string, before time.Time, idle time.Duration) int {
		n, err := b.store.Resend(t.Context(), queue, before, idle, 10)
		b.must(err)
		return n
	}
	if n := resend("default", now.Add(-2*time.Hour), time.Minute); n != 0 {
		t.Errorf("resent %d that were vouched for since", n)
	}
	if n := resend("default", now.Add(time.Hour), 2*time.Hour); n != 0 {
		t.Errorf("resent %d that were vouched for too recently", n)
	}
	if n := resend("default", now.Add(-time.Minute), time.Minute); n != 1 {
		t.Errorf("resent %d, want 1", n)
	}
	b.is(lost, ackbox.Pending, 1, 1)
	b.is(mail, ackbox.Sent, 1, 0)
	b.is(vouched, ackbox.Sent, 1, 0)
	b.is(fresh, ackbox.Sent, 1, 0)
	b.is(event, ackbox.Sent, 1, 0)
	b.relay(sent)
	b.is(lost, ackbox.Sent, 1, 1)
}

func testPurge(t *testing.T, b *bench) {
	old := map[string]string{}
	for _, state := range []ackbox.State{ackbox.Done, ackbox.Dead, ackbox.Cancelled} {
		old[string(state)] = b.setUp(state)
	}
	old["event"] = b.send(outbox.Event("x", "y"))
	for _, id := range old {
		b.shift(id, "finished_at", 48*time.Hour)
	}
	young, open := b.setUp(ackbox.Done), b.send()
	b.shift(open, "seen_at", 48*time.Hour)

	if n, err := b.store.Purge(t.Context(), 24*time.Hour, 72*time.Hour, 2); n != 2 || err != nil {
		t.Errorf("purged %d, %v; want 2, the limit", n, err)
	}
	if n, err := b.store.Purge(t.Context(), 24*time.Hour, 72*time.Hour, 10); n != 1 || err != nil {
		t.Errorf("purged %d, %v; want the third", n, err)
	}
	b.is(old["dead"], ackbox.Dead, 1, 0)
	b.is(young, ackbox.Done, 1, 0)
	b.is(open, ackbox.Sent, 1, 0)
	if n, err := b.store.Purge(t.Context(), 24*time.Hour, 24*time.Hour, 10); n != 1 || err != nil {
		t.Errorf("purged %d, %v; want the dead one", n, err)
	}
	if n := b.rows(); n != 2 {
		t.Errorf("%d rows are left, want 2", n)
	}
}

func testOperators(t *testing.T, b *bench) {
	if _, err := b.store.Get(t.Context(), outbox.NewID()); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("get of an unknown id: %v", err)
	}
	if _, err := b.store.Get(t.Context(), "x"); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("get of no id: %v", err)
	}
	dead, done := b.setUp(ackbox.Dead), b.setUp(ackbox.Done)
	nacked, sentJob := b.setUp(ackbox.Nacked), b.send(outbox.Queue("mail"))
	pending := b.enqueue()

	if n, err := b.store.Requeue(t.Context(), dead, done, sentJob, outbox.NewID()); n != 1 || err != nil {
		t.Errorf("requeued %d, %v; want only the dead one", n, err)
	}
	b.is(dead, ackbox.Pending, 1, 1)
	if n, err := b.store.Cancel(t.Context(), pending, nacked, sentJob, done); n != 2 || err != nil {
		t.Errorf("cancelled %d, %v; want the pending and the nacked one", n, err)
	}
	b.is(pending, ackbox.Cancelled, 1, 0)
	b.is(nacked, ackbox.Cancelled, 1, 0)
	b.is(sentJob, ackbox.Sent, 1, 0)
	for _, act := range []func() (int, error){
		func() (int, error) { return b.store.Requeue(t.Context(), "x'; --") },
		func() (int, error) { return b.store.Cancel(t.Context(), "") },
	} {
		if n, err := act(); n != 0 || err == nil {
			t.Errorf("a bad id: %d, %v", n, err)
		}
	}
	for want, f := range map[int]outbox.Filter{
		5: {}, 1: {Queue: "mail"}, 2: {State: ackbox.Cancelled}, 3: {Limit: 3}, 0: {Kind: "other", State: ackbox.Dead},
	} {
		if entries, err := b.store.List(t.Context(), f); len(entries) != want || err != nil {
			t.Errorf("list %+v: %d, %v; want %d", f, len(entries), err, want)
		}
	}
	for _, f := range []outbox.Filter{{State: "odd"}, {Limit: -1}, {Limit: 1 << 30}} {
		if _, err := b.store.List(t.Context(), f); err == nil {
			t.Errorf("list %+v is no error", f)
		}
	}
	counts, err := b.store.Counts(t.Context())
	if err != nil || counts[ackbox.Pending] != 1 || counts[ackbox.Cancelled] != 2 || counts[ackbox.Sent] != 1 || counts[ackbox.Done] != 1 || counts[ackbox.Dead] != 0 || len(counts) != 6 {
		t.Errorf("counts %v, %v", counts, err)
	}
}
