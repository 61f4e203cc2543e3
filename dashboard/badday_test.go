package dashboard_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

func jobID(i int) string { return fmt.Sprintf("019a0000-0000-7000-8000-%012x", i) }

// hostile is what somebody who can write a job might try.
const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>` + "\u202etxt.exe\x1b[31m"

// badDay is a ledger in which much has gone wrong.
func badDay(now time.Time) *fake {
	f := &fake{}
	ago := func(d time.Duration) time.Time { return now.Add(-d).UTC() }
	p := func(t time.Time) *time.Time { return &t }
	add := func(e outbox.Entry, kind, key, queue string, created time.Time) {
		e.ID, e.Kind, e.Key, e.Queue, e.RoutingKey, e.Mandatory = jobID(4000-len(f.jobs)), kind, key, queue, queue, true
		e.CreatedAt, e.Attempt, e.MaxAttempts = created, max(e.Attempt, 1), 10
		if e.DueAt.IsZero() {
			e.DueAt = created
		}
		if e.Payload == nil {
			e.Payload = fmt.Appendf(nil, `{"order":%d,"to":"customer-%d@example.com","total":{"amount":1999,"currency":"EUR"},"big":12345678901234567890,"lines":[{"sku":"A-%d","n":2},{"sku":"B-9","n":1}]}`, 4200+len(f.jobs), len(f.jobs), len(f.jobs))
		}
		e.Headers = map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
		f.jobs = append(f.jobs, e)
	}
	for i := range 3 {
		add(outbox.Entry{State: ackbox.Sent, SentAt: p(ago(4 * time.Second)), StartedAt: p(ago(time.Duration(3+90*i) * time.Second)), Holder: jobID(9001)},
			"invoice.render", fmt.Sprintf("order:%d", 4310-i), "default", ago(5*time.Second))
	}
	for i := range 12 {
		add(outbox.Entry{State: ackbox.Pending}, "mail.send", fmt.Sprintf("order:%d", 4300-i), "mail", ago(time.Duration(i*75)*time.Second))
	}
	for i := range 4 {
		add(outbox.Entry{State: ackbox.Pending, Job: ackbox.Job{Attempt: 3}, DueAt: now.Add(time.Duration(i+1) * 7 * time.Minute), LastError: "payment: gateway answered 503 Service Unavailable"},
			"payment.capture", fmt.Sprintf("order:%d", 4280-i), "default", ago(20*time.Minute))
	}
	for i := range 2 {
		add(outbox.Entry{State: ackbox.Nacked, LastError: "the broker refused it: the queue search is full (x-overflow reject-publish)"}, "search.index", "", "search", ago(time.Duration(3+i)*time.Minute))
		f.jobs[len(f.jobs)-1].PublishAttempt = 4
	}
	stack := "\n\ngoroutine 214 [running]:\nmain.(*confirm).Consume(0xc0001a2000, {0x1a2b3c8, 0xc0003d4000})\n\t/srv/shop/confirm.go:48 +0x1d4\ngithub.com/ackbox/ackbox/worker.(*Worker).call(...)\n\t/go/pkg/mod/github.com/ackbox/ackbox/worker/call.go:71 +0x88"
	for i := range 41 {
		at := ago(time.Duration(4+i) * time.Minute)
		why := "smtp: 451 4.7.1 greylisted, try again later"
		kind, key := "mail.send", fmt.Sprintf("order:%d", 4200-i)
		switch {
		case i%9 == 0:
			kind, why = "order.confirm", "panic: runtime error: invalid memory address or nil pointer dereference"+stack
		case i%13 == 0:
			kind, key, why = "report.build", "", "report: context deadline exceeded after 5m0s"
		case i == 8:
			kind, key, why = hostile, hostile, hostile
		}
		e := outbox.Entry{State: ackbox.Dead, FinishedAt: p(at), SentAt: p(at.Add(-2 * time.Second)), StartedAt: p(at.Add(-time.Second)), Holder: jobID(9001), Job: ackbox.Job{Attempt: 10}, LastError: why}
		if i == 8 {
			e.Payload = []byte(hostile)
		}
		sent := at.Add(-50 * time.Minute)
		e.History = []outbox.HistoryEntry{
			{At: at.Add(-52 * time.Minute), What: outbox.Refused, Attempt: 1, Error: "no queue was bound"},
			{At: at.Add(-49 * time.Minute), What: outbox.Failed, Attempt: 1, By: jobID(9001), Error: why, SentAt: &sent, Ran: 812 * time.Millisecond},
			{At: at.Add(-30 * time.Minute), What: outbox.TakenBack, Attempt: 2, By: jobID(9002)},
			{At: at.Add(-20 * time.Minute), What: outbox.Hastened, Attempt: 2, By: "ada@example.com", Error: "the mail server is back"},
			{At: at, What: outbox.GivenUp, Attempt: 10, By: jobID(9001), Error: why, Ran: 1520 * time.Millisecond},
		}
		add(e, kind, key, "mail", at.Add(-53*time.Minute))
	}
	for i := range 70 {
		at := ago(time.Duration(i*3) * time.Second)
		add(outbox.Entry{State: ackbox.Done, SentAt: p(at.Add(-time.Second)), FinishedAt: p(at)}, "order.confirm", fmt.Sprintf("order:%d", 4300-i/2), "default", at.Add(-2*time.Second))
	}
	add(outbox.Entry{State: ackbox.Cancelled, FinishedAt: p(ago(time.Hour)), History: []outbox.HistoryEntry{{At: ago(time.Hour), What: outbox.Cancelled, By: "ada@example.com", Error: "wrong customer"}}},
		"mail.send", "order:4100", "mail", ago(2*time.Hour))
	f.queues = []outbox.QueueStatus{
		{Queue: "default", Due: outbox.Count{N: 3}, Later: outbox.Count{N: 4}, Sent: outbox.Count{N: 214}, Running: outbox.Count{N: 3}, Dead: outbox.Count{N: 9}, OldestDue: ago(2 * time.Second), OldestSent: ago(6 * time.Second), Consumers: 2},
		{Queue: "mail", Due: outbox.Count{N: 10000, More: true}, Sent: outbox.Count{N: 512}, Dead: outbox.Count{N: 32}, OldestDue: ago(14 * time.Minute), OldestSent: ago(time.Minute)},
		{Queue: "search", Refused: outbox.Count{N: 2}, Sent: outbox.Count{N: 12}, OldestDue: ago(3 * time.Minute), Consumers: 1, Paused: &outbox.Pause{Queue: "search", At: ago(9 * time.Minute), By: "ada@example.com", Reason: "the index is rebuilt"}},
		{Queue: "", Due: outbox.Count{N: 1}, OldestDue: ago(time.Second)},
	}
	f.instances = []outbox.Instance{
		{ID: jobID(9001), Role: "worker", Host: "shop-7d9f-abcde", PID: 1, Queues: []string{"default", "mail"}, StartedAt: ago(26 * time.Hour), SeenAt: ago(time.Second), Alive: true, Version: "v1.18.2 (3f9ac21)", Slots: 16, InHand: 40, Overdue: 1, Running: []outbox.Running{
			{ID: jobID(3998), Kind: "invoice.render", Queue: "default", Key: "order:4308", Since: ago(3 * time.Minute), Overdue: true},
			{ID: jobID(3999), Kind: "invoice.render", Queue: "default", Key: "order:4309", Since: ago(93 * time.Second)},
			{ID: jobID(4000), Kind: "invoice.render", Queue: "default", Key: "order:4310", Since: ago(3 * time.Second)},
		}},
		{ID: jobID(9002), Role: "worker", Host: "shop-7d9f-fghij", PID: 1, Queues: []string{"default", "search"}, StartedAt: ago(26 * time.Hour), SeenAt: ago(4 * time.Minute), Slots: 16, Version: "v1.18.1 (91bb012)"},
		{ID: jobID(9003), Role: "dispatcher", Host: "shop-7d9f-abcde", PID: 1, StartedAt: ago(26 * time.Hour), SeenAt: ago(2 * time.Second), Alive: true, Version: "v1.18.2 (3f9ac21)", Trouble: "queue search is stalled: the broker has not confirmed for 42 s"},
		{ID: jobID(9004), Role: "sweeper", Host: "shop-7d9f-abcde", PID: 1, StartedAt: ago(26 * time.Hour), SeenAt: ago(2 * time.Second), Alive: true, Version: "v1.18.2 (3f9ac21)"},
	}
	filter := outbox.Filter{State: ackbox.Dead, Kind: "mail.send", Error: "greylisted"}
	f.operations = []outbox.Operation{
		{ID: operationID, Action: outbox.ActionRequeue, Filter: &filter, State: outbox.OperationRunning, By: "ada@example.com", Reason: "the mail server is back", CreatedAt: ago(40 * time.Second), UpdatedAt: ago(time.Second), Expected: outbox.Count{N: 10000, More: true}, Changed: 3500, LookedAt: 3600},
		{ID: jobID(8001), Action: outbox.ActionPause, Queue: "search", State: outbox.OperationDone, By: "ada@example.com", Reason: "the index is rebuilt", CreatedAt: ago(9 * time.Minute), UpdatedAt: ago(9 * time.Minute), FinishedAt: p(ago(9 * time.Minute)), Changed: 1},
		{ID: jobID(8004), Action: outbox.ActionStop, IDs: []string{jobID(8003)}, State: outbox.OperationDone, By: "ada@example.com", CreatedAt: ago(26 * time.Hour), FinishedAt: p(ago(26 * time.Hour)), Changed: 1},
		{ID: jobID(8002), Action: outbox.ActionCancel, IDs: []string{jobID(3000)}, State: outbox.OperationDone, By: "ada@example.com", CreatedAt: ago(time.Hour), FinishedAt: p(ago(time.Hour)), Changed: 1},
		{ID: jobID(8003), Action: outbox.ActionDelete, Filter: &filter, State: outbox.OperationStopped, By: hostile, CreatedAt: ago(26 * time.Hour), FinishedAt: p(ago(26 * time.Hour)), Expected: outbox.Count{N: 800}, Changed: 500, LookedAt: 500},
	}
	f.stats = busy
	slices.SortStableFunc(f.jobs, func(a, b outbox.Entry) int { return strings.Compare(b.ID, a.ID) })
	return f
}

// busy makes up what happened: a day's wave, and a quarter of an hour of trouble.
func busy(q outbox.StatsQuery) []outbox.Stat {
	r := rand.New(rand.NewPCG(1, 2))
	var all []outbox.Stat
	for at := q.From.Truncate(q.Step); at.Before(q.To); at = at.Add(q.Step) {
		for i, queue := range []string{"default", "mail", "search", ""} {
			wave := 1 + 0.5*math.Sin(float64(at.Unix())/1500+float64(i))
			n := int64(wave * float64(240-60*i) * (0.85 + 0.3*r.Float64()) * q.Step.Minutes())
			s := outbox.Stat{At: at, Queue: queue, Enqueued: n, Sent: n, Done: n}
			if queue == "" {
				s.Done = 0
			}
			if back := q.To.Sub(at); queue == "mail" && back < 22*time.Minute && back > 4*time.Minute {
				s.Done, s.Failed, s.Dead = n/3, n/5, 3
			}
			s.Wait, s.Run = make(outbox.Histogram, 30), make(outbox.Histogram, 30)
			for j := range s.Wait {
				s.Wait[j] = int64(100 * math.Exp(-math.Pow(float64(j)-4, 2)/6))
				s.Run[j] = int64(100 * math.Exp(-math.Pow(float64(j)-11, 2)/8))
			}
			if !q.ByQueue {
				s.Queue = ""
			}
			all = append(all, s)
		}
	}
	return all
}
