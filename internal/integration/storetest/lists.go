package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// pages reads a whole list by pages of limit, and returns the ids.
func (e *env) pages(f outbox.Filter, limit int) (ids []string) {
	e.Helper()
	after := ""
	for range 1000 {
		page, err := e.store().List(e.ctx, f, after, limit)
		e.must(err)
		if len(page.Entries) > limit {
			e.Errorf("%d entries on a page of %d", len(page.Entries), limit)
		}
		for _, entry := range page.Entries {
			ids = append(ids, entry.ID)
		}
		if page.Next == "" {
			return ids
		}
		after = page.Next
	}
	e.Errorf("the list of %+v does not end", f)
	return ids
}

// listPages: whatever the size of a page, a list is whole, in its order, and nothing is in
// it twice.
func listPages(e *env) {
	queues := []string{"default", "mail"}
	want := make(map[ackbox.State][]string)
	for i := range 36 {
		state := ackbox.States()[i%len(ackbox.States())]
		id := e.enqueue(outbox.Queue(queues[i%2]))
		e.set(id, e.inState(state))
		// Times that several jobs have, and an order that is not that of the ids.
		at := e.at(-time.Duration(i*7%5) * time.Minute)
		switch state {
		case ackbox.Sent:
			e.set(id, "seen_at = "+at)
		case ackbox.Done, ackbox.Dead, ackbox.Cancelled:
			e.set(id, "finished_at = "+at)
		default:
			e.set(id, "due_at = "+at)
		}
		want[state] = append(want[state], id)
	}
	for state, ids := range want {
		slices.Sort(ids)
		whole := e.pages(outbox.Filter{State: state}, 100)
		if got := slices.Sorted(slices.Values(whole)); !slices.Equal(got, ids) {
			e.Errorf("%s: the list has %v, want %v", state, got, ids)
		}
		for _, limit := range []int{1, 2, 3} {
			if got := e.pages(outbox.Filter{State: state}, limit); !slices.Equal(got, whole) {
				e.Errorf("%s: by pages of %d it has %v, at once %v", state, limit, got, whole)
			}
		}
		n, err := e.store().Count(e.ctx, outbox.Filter{State: state})
		e.must(err)
		if n != (outbox.Count{N: len(ids)}) {
			e.Errorf("%s: counted %+v, want %d", state, n, len(ids))
		}
		e.ordered(state, whole)
	}
	if got := e.pages(outbox.Filter{}, 5); len(got) != 36 || !slices.IsSortedFunc(got, func(a, b string) int { return -compare(a, b) }) {
		e.Errorf("all jobs: %d, %v", len(got), got)
	}
	for _, bad := range []string{"x", "eyJ3IjotMX0", "eyJ3Ijo5fQ"} {
		_, err := e.store().List(e.ctx, outbox.Filter{}, bad, 1)
		e.wantError(err, "outbox: the place")
	}
}

func compare(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

// ordered checks the order that List documents.
func (e *env) ordered(state ackbox.State, ids []string) {
	e.Helper()
	var last time.Time
	for i, id := range ids {
		entry := e.get(id)
		at := entry.DueAt
		switch state {
		case ackbox.Done, ackbox.Dead, ackbox.Cancelled:
			at = *entry.FinishedAt
			if i > 0 && at.After(last) {
				e.Errorf("%s: %v comes behind %v", state, at, last)
			}
		case ackbox.Sent:
			continue
		default:
			if i > 0 && at.Before(last) {
				e.Errorf("%s: %v comes behind %v", state, at, last)
			}
		}
		last = at
	}
}

// listFilters: each field of a filter by itself, and together.
func listFilters(e *env) {
	s := e.store()
	a := e.enqueueAs(ackbox.Dead, outbox.Key("order:42"))
	b := e.enqueueAs(ackbox.Dead, outbox.Queue("mail"), outbox.Key("order:42"))
	c := e.enqueue(outbox.Key("order:43"))
	e.set(a, "last_error = 'Dial TIMEOUT\nat line 7', finished_at = "+e.at(-time.Hour))
	e.set(b, "last_error = 'refused 100% _', kind = 'mail'")
	call := func(f outbox.Filter, want ...string) {
		e.Helper()
		got := e.pages(f, 10)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			e.Errorf("%+v: %v, want %v", f, got, want)
		}
		n, err := s.Count(e.ctx, f)
		e.must(err)
		if n != (outbox.Count{N: len(want)}) {
			e.Errorf("%+v: counted %+v, want %d", f, n, len(want))
		}
	}
	call(outbox.Filter{Key: "order:42"}, a, b)
	call(outbox.Filter{Key: "order:42", Queue: "mail"}, b)
	call(outbox.Filter{Key: "order:42", State: ackbox.Pending})
	call(outbox.Filter{Key: "order:4"})
	call(outbox.Filter{Error: "timeout"}, a)
	call(outbox.Filter{State: ackbox.Dead, Error: "100% _"}, b)
	call(outbox.Filter{State: ackbox.Dead, Error: "%"}, b)
	call(outbox.Filter{State: ackbox.Dead, Kind: "mail"}, b)
	call(outbox.Filter{State: ackbox.Pending}, c)
	now := time.Now()
	call(outbox.Filter{State: ackbox.Dead, Before: now.Add(-time.Minute)}, a)
	call(outbox.Filter{State: ackbox.Dead, After: now.Add(-time.Minute)}, b)
	call(outbox.Filter{Running: true})
	for _, bad := range []outbox.Filter{
		{State: "lost"},
		{Queue: "\x00"},
		{Kind: "\xff"},
		{Error: "\x00"},
		{Key: "\xff"},
		{Before: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Running: true, State: ackbox.Dead},
	} {
		_, err := s.List(e.ctx, bad, "", 1)
		e.wantError(err, "outbox: Filter.")
		_, err = s.Count(e.ctx, bad)
		e.wantError(err, "outbox: Filter.")
		_, _, err = s.GivenUp(e.ctx, bad)
		e.wantError(err, "outbox: Filter.")
	}
	for _, bad := range []int{-1, 0, 10_001} {
		_, err := s.List(e.ctx, outbox.Filter{}, "", bad)
		e.wantError(err, "outbox: limit is")
	}
}

// givenUp: dead jobs by what they died of.
func givenUp(e *env) {
	s := e.store()
	for i := range 7 {
		id := e.enqueueAs(ackbox.Dead)
		why := "timeout\nafter 3 s"
		if i%3 == 0 {
			why = "no such order"
		}
		e.set(id, fmt.Sprintf("last_error = '%s', finished_at = %s", why, e.at(-time.Duration(i)*time.Minute)))
	}
	e.enqueueAs(ackbox.Done)
	groups, all, err := s.GivenUp(e.ctx, outbox.Filter{})
	e.must(err)
	if all != 7 || len(groups) != 2 || groups[0].Error != "timeout" || groups[0].N != 4 || groups[0].Kind != "note" ||
		groups[1].Error != "no such order" || groups[1].N != 3 || !groups[1].First.Before(groups[1].Last) {
		e.Fatalf("%d in groups %+v", all, groups)
	}
	e.near("the last of a group", groups[1].Last, 0)
	if got := e.get(groups[0].Sample); got.State != ackbox.Dead || got.LastError != "timeout\nafter 3 s" {
		e.Errorf("the sample is %+v", got)
	}
	groups, all, err = s.GivenUp(e.ctx, outbox.Filter{Error: "ORDER"})
	e.must(err)
	if all != 3 || len(groups) != 1 {
		e.Errorf("of those with an error: %d in %+v", all, groups)
	}
	if _, _, err := s.GivenUp(e.ctx, outbox.Filter{State: ackbox.Done}); err == nil {
		e.Error("done jobs were given up")
	}
}

// queueStatus: how queues stand.
func queueStatus(e *env) {
	s := e.store()
	e.enqueue(outbox.Queue("mail"))
	e.set(e.enqueue(outbox.Queue("mail")), "due_at = "+e.at(-time.Hour))
	e.enqueue(outbox.Queue("mail"), outbox.Delay(time.Hour))
	e.enqueueAs(ackbox.Nacked, outbox.Queue("mail"))
	e.enqueueAs(ackbox.Refused, outbox.Queue("mail"))
	e.enqueueAs(ackbox.Dead, outbox.Queue("mail"))
	e.enqueueAs(ackbox.Sent, outbox.Queue("default"))
	e.exec("INSERT INTO " + e.side("queues") + " (queue, paused_at, paused_by, reason) VALUES ('default', " + e.at(-time.Minute) + ", 'anna', 'the provider is down')")
	_, err := s.Beat(e.ctx, core.Instance{ID: outbox.NewID(), Role: core.RoleWorker, Queues: []string{"mail", "elsewhere"}})
	e.must(err)
	all, err := s.QueueStatus(e.ctx)
	e.must(err)
	at := make(map[string]outbox.QueueStatus)
	for _, q := range all {
		at[q.Queue] = q
	}
	mail, still := at["mail"], at["default"]
	if mail.Due.N != 2 || mail.Later.N != 1 || mail.Refused.N != 2 || mail.Dead.N != 1 || mail.Consumers != 1 || mail.Paused != nil || mail.Sent.N != 0 {
		e.Errorf("mail: %+v", mail)
	}
	e.near("the oldest due", mail.OldestDue, -time.Hour)
	if still.Sent.N != 1 || still.OldestSent.IsZero() || still.Paused == nil || still.Paused.By != "anna" || still.Paused.Reason != "the provider is down" || !still.OldestDue.IsZero() {
		e.Errorf("default: %+v", still)
	}
	if q, ok := at["elsewhere"]; !ok || q.Consumers != 1 {
		e.Errorf("a queue that only a worker knows: %+v", q)
	}
	if len(all) != 3 {
		e.Errorf("all queues: %+v", all)
	}
}
