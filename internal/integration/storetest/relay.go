package storetest

import (
	"context"

	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

func testClaimOrder(t *testing.T, b *bench) {
	first, second, third := b.enqueue(), b.enqueue(), b.enqueue()
	b.shift(third, "due_at", time.Minute)
	var order []string
	for range 4 {
		n, err := b.store.Relay(t.Context(), 1, func(_ context.Context, jobs []ackbox.Job) []ackbox.Transition {
			order = append(order, jobs[0].ID)
			return []ackbox.Transition{{ID: jobs[0].ID, Attempt: 1, To: ackbox.Sent}}
		})
		if err != nil || n > 1 {
			t.Fatalf("claimed %d of at most 1: %v", n, err)
		}
	}
	if got, want := fmt.Sprint(order), fmt.Sprint([]string{third, first, second}); got != want {
		t.Errorf("claimed %s, want %s: by due time, then id", got, want)
	}
	if _, err := b.store.Relay(t.Context(), 0, nil); err == nil {
		t.Error("a limit of 0 was taken")
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	b.enqueue()
	if n, err := b.store.Relay(stopped, 1, func(context.Context, []ackbox.Job) []ackbox.Transition {
		t.Error("published although the context had ended before the claim")
		return nil
	}); err == nil || n != 0 {
		t.Errorf("a claim after the context's end: %d, %v", n, err)
	}
}

func testSettle(t *testing.T, b *bench) {
	acked, nacked, dead, unknown := b.enqueue(), b.enqueue(), b.enqueue(), b.enqueue()
	answers := map[string]ackbox.Transition{
		acked:   {To: ackbox.Sent},
		nacked:  {To: ackbox.Nacked, After: time.Hour, Error: "queue full"},
		dead:    {To: ackbox.Dead, Error: "refused too often"},
		unknown: {To: ackbox.Pending},
	}
	b.relay(func(job ackbox.Job) ackbox.Transition { return answers[job.ID] })
	b.is(acked, ackbox.Sent, 1, 0)
	b.is(nacked, ackbox.Nacked, 1, 0)
	b.is(dead, ackbox.Dead, 1, 0)
	b.is(unknown, ackbox.Pending, 1, 1) // another copy, no try charged
	e := b.get(nacked)
	if due := time.Until(e.DueAt); e.PublishAttempt != 1 || e.LastError != "queue full" || len(e.Errors) != 1 || e.Errors[0].Error != "queue full" || due < 59*time.Minute || due > 61*time.Minute {
		t.Errorf("nacked: publish attempt %d, last error %q, errors %v, due in %v", e.PublishAttempt, e.LastError, e.Errors, due)
	}
	if e := b.get(dead); e.FinishedAt == nil || e.LastError != "refused too often" || string(e.Payload) != `{"n":1}` {
		t.Errorf("dead: finished %v, last error %q, payload %s", e.FinishedAt, e.LastError, e.Payload)
	}
	if jobs := b.relay(sent); len(jobs) != 1 || jobs[0].ID != unknown || jobs[0].Resend != 1 {
		t.Errorf("the unknown job is not published again: %v", jobs)
	}
}

func testPublishMisbehaves(t *testing.T, b *bench) {
	id, other := b.enqueue(), b.enqueue()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = b.store.Relay(t.Context(), 10, func(context.Context, []ackbox.Job) []ackbox.Transition { panic("publish") })
	}()
	b.is(id, ackbox.Pending, 1, 0)
	stranger := b.send() // sends all three
	b.is(stranger, ackbox.Sent, 1, 0)
	b.is(id, ackbox.Sent, 1, 0)
	b.is(other, ackbox.Sent, 1, 0)
	last := b.enqueue()
	if _, err := b.store.Relay(t.Context(), 10, func(context.Context, []ackbox.Job) []ackbox.Transition {
		return []ackbox.Transition{{ID: stranger, Attempt: 1, To: ackbox.Dead}}
	}); err == nil {
		t.Error("a transition for a job that was not claimed is no error")
	}
	b.is(stranger, ackbox.Sent, 1, 0)
	b.is(last, ackbox.Pending, 1, 0)
}

// setUp brings a fresh job into a state.
func (b *bench) setUp(state ackbox.State) string {
	b.Helper()
	id := b.enqueue()
	to := func(t ackbox.Transition) func(ackbox.Job) ackbox.Transition {
		return func(ackbox.Job) ackbox.Transition { return t }
	}
	switch state {
	case ackbox.Pending:
	case ackbox.Nacked:
		b.relay(to(ackbox.Transition{To: ackbox.Nacked, After: time.Hour, Error: "no queue"}))
	case ackbox.Sent:
		b.relay(sent)
	case ackbox.Cancelled:
		if n, err := b.store.Cancel(b.Context(), id); err != nil || n != 1 {
			b.Fatalf("cancel: %d, %v", n, err)
		}
	case ackbox.Done, ackbox.Dead:
		if v := b.finish(ackbox.Transition{ID: id, Attempt: 1, To: state}); v != ackbox.Recorded {
			b.Fatalf("set up %s: %s", state, v)
		}
	}
	b.is(id, state, 1, 0)
	return id
}

// Every report of a worker, about a job in every state: the matrix.
func testFinish(t *testing.T, b *bench) {
	for _, from := range ackbox.States() {
		for _, attempt := range []int{1, 2} {
			for name, to := range map[string]ackbox.Transition{
				"done":   {To: ackbox.Done},
				"dead":   {To: ackbox.Dead, Error: "given up"},
				"retry":  {To: ackbox.Pending, After: time.Hour, Charge: true, Error: "failed"},
				"snooze": {To: ackbox.Pending, After: time.Hour},
			} {
				t.Run(fmt.Sprintf("%s of attempt %d from %s", name, attempt, from), func(t *testing.T) {
					b := &bench{T: t, db: b.db, store: b.store, table: b.table}
					id := b.setUp(from)
					to.ID, to.Attempt = id, attempt
					welcome := attempt == 1 && !from.Final()
					want := map[bool]ackbox.Verdict{true: ackbox.Recorded, false: ackbox.Stale}[welcome]
					if v := b.finish(to); v != want {
						t.Errorf("it is %s, want %s", v, want)
					}
					switch {
					case !welcome:
						b.is(id, from, 1, 0)
					case name == "retry":
						b.is(id, ackbox.Pending, 2, 0)
					case name == "snooze":
						b.is(id, ackbox.Pending, 1, 1)
					default:
						b.is(id, to.To, 1, 0)
					}
					e := b.get(id)
					if welcome && to.To == ackbox.Pending && time.Until(e.DueAt) < 59*time.Minute {
						t.Errorf("due in %v, want 1h", time.Until(e.DueAt))
					}
					if welcome && to.Error != "" && (e.LastError != to.Error || e.Errors[len(e.Errors)-1].Error != to.Error || e.Errors[len(e.Errors)-1].Attempt != 1) {
						t.Errorf("last error %q, errors %v", e.LastError, e.Errors)
					}
					if (e.FinishedAt != nil) != e.State.Final() {
						t.Errorf("%s, finished at %v", e.State, e.FinishedAt)
					}
					if v := b.finish(to); name != "snooze" && v != ackbox.Stale {
						t.Errorf("the second time it is %s, want stale", v)
					}
				})
			}
		}
	}
}

func testFinishForeign(t *testing.T, b *bench) {
	done, retried, dead := b.send(), b.send(), b.send()
	verdicts, err := b.store.Finish(t.Context(), []ackbox.Transition{
		{ID: "not a uuid'; DROP TABLE orders; --", Attempt: 1, To: ackbox.Done},
		{ID: done, Attempt: 1, To: ackbox.Done},
		{ID: "", Attempt: 1, To: ackbox.Dead},
		{ID: outbox.NewID(), Attempt: 1, To: ackbox.Done},
		{ID: retried, Attempt: 1, To: ackbox.Pending, Charge: true},
		{ID: done, Attempt: 1, To: ackbox.Done},
		{ID: done, Attempt: 2, To: ackbox.Done},
		{ID: dead, Attempt: 1, To: ackbox.Dead, Error: "x"},
		{ID: outbox.NewID(), Attempt: 1, To: ackbox.Dead},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []ackbox.Verdict{ackbox.Stale, ackbox.Recorded, ackbox.Stale, ackbox.Stale, ackbox.Recorded, ackbox.Stale, ackbox.Stale, ackbox.Recorded, ackbox.Stale}
	if fmt.Sprint(verdicts) != fmt.Sprint(want) {
		t.Errorf("verdicts %v, want %v", verdicts, want)
	}
	b.is(done, ackbox.Done, 1, 0)
	b.is(retried, ackbox.Pending, 2, 0)
	b.is(dead, ackbox.Dead, 1, 0)
	if verdicts, err := b.store.Finish(t.Context(), nil); err != nil || len(verdicts) != 0 {
		t.Errorf("nothing to finish: %v, %v", verdicts, err)
	}
}

func testErrorTexts(t *testing.T, b *bench) {
	for name, text := range map[string]string{
		"NUL": "a\x00b", "invalid UTF-8": "a\xffb", "quotes": `a"b'c\d`, "long": strings.Repeat("ü", 5000),
	} {
		id := b.send()
		if v := b.finish(ackbox.Transition{ID: id, Attempt: 1, To: ackbox.Dead, Error: text}); v != ackbox.Recorded {
			t.Errorf("%s: %s", name, v)
		}
		if e := b.get(id); len(e.Errors) != 1 || e.Errors[0].Error != e.LastError || e.LastError == "" || len(e.LastError) > 2100 {
			t.Errorf("%s: last error of %d bytes, %d errors", name, len(e.LastError), len(e.Errors))
		}
	}
	id := b.enqueue(outbox.MaxAttempts(1000))
	for n := range 60 {
		b.finish(ackbox.Transition{ID: id, Attempt: n + 1, To: ackbox.Pending, Charge: true, Error: fmt.Sprint("error ", n+1)})
	}
	if e := b.get(id); len(e.Errors) != 50 || e.Errors[0].Error != "error 11" || e.Errors[49].Error != "error 60" {
		t.Errorf("%d errors, want the latest 50", len(e.Errors))
	}
}

func testCurrent(t *testing.T, b *bench) {
	id := b.send()
	ask := func(attempt, resend int) bool {
		ok, err := b.store.Current(t.Context(), ackbox.Job{ID: id, Attempt: attempt, Resend: resend})
		b.must(err)
		return ok
	}
	if !ask(1, 0) || ask(2, 0) || ask(1, 1) {
		t.Error("of attempts and copies, only the row's own is current")
	}
	if ok, err := b.store.Current(t.Context(), ackbox.Job{ID: "x", Attempt: 1}); ok || err != nil {
		t.Errorf("a foreign id: %v %v", ok, err)
	}
	b.finish(ackbox.Transition{ID: id, Attempt: 1, To: ackbox.Pending}) // another copy
	if ask(1, 0) || !ask(1, 1) {
		t.Error("of two copies, only the newer is current")
	}
	b.finish(ackbox.Transition{ID: id, Attempt: 1, To: ackbox.Done})
	if ask(1, 1) {
		t.Error("a finished job is current")
	}
	b.must(b.store.Vouch(t.Context(), nil))
	b.must(b.store.Vouch(t.Context(), []string{"x", id, outbox.NewID()}))
}
