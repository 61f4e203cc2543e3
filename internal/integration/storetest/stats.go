package storetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// stats asks for the last hours and the next one.
func (e *env) stats(q outbox.StatsQuery) []outbox.Stat {
	e.Helper()
	if q.From.IsZero() {
		q.From = time.Now().Add(-5 * time.Hour)
	}
	q.To = q.From.Add(24 * time.Hour)
	if q.Step == 0 {
		q.Step = time.Hour
	}
	list, err := e.store().Stats(e.ctx, q)
	e.must(err)
	return list
}

// total adds up what is asked for.
func (e *env) total(q outbox.StatsQuery) (sum outbox.Stat) {
	e.Helper()
	for _, s := range e.stats(q) {
		sum.Enqueued += s.Enqueued
		sum.Sent += s.Sent
		sum.Refused += s.Refused
		sum.Done += s.Done
		sum.Failed += s.Failed
		sum.Dead += s.Dead
		sum.Wait = add(sum.Wait, s.Wait)
		sum.Run = add(sum.Run, s.Run)
	}
	return sum
}

func add(a, b outbox.Histogram) outbox.Histogram {
	sum := slices.Clone(a)
	for i, n := range b {
		if i == len(sum) {
			sum = append(sum, 0)
		}
		sum[i] += n
	}
	return sum
}

// numbers are the counts of s.
func numbers(s outbox.Stat) string {
	return fmt.Sprint("enqueued ", s.Enqueued, " sent ", s.Sent, " refused ", s.Refused, " done ", s.Done, " failed ", s.Failed, " dead ", s.Dead,
		" wait ", s.Wait.Total(), " run ", s.Run.Total())
}

func (e *env) wantNumbers(what string, got outbox.Stat, want string) {
	e.Helper()
	if got := numbers(got); got != want {
		e.Errorf("%s: %s, want %s", what, got, want)
	}
}

// Relay counts what is committed, each job once as enqueued.
func statsOfRelay(e *env) {
	s := e.store()
	ids := []string{e.enqueue(), e.enqueue(), e.enqueue(), e.enqueue(), e.enqueue(outbox.Queue("mail"))}
	event := e.enqueue(outbox.Event("topic", "key"))
	e.set(ids[4], "due_at = "+e.at(-10*time.Minute))
	to := map[string]ackbox.State{
		ids[0]: ackbox.Sent, ids[1]: ackbox.Nacked, ids[2]: ackbox.Pending, ids[3]: "", ids[4]: ackbox.Sent, event: ackbox.Dead,
	}
	waited := make(map[string]time.Duration)
	relay := func() {
		e.Helper()
		e.relay(10, func(job ackbox.Job) core.Transition {
			waited[job.ID] = job.Waited
			if to[job.ID] == "" {
				return core.Transition{}
			}
			return core.Transition{ID: job.ID, Attempt: job.Attempt, To: to[job.ID], Error: "e"}
		})
	}
	relay()
	if w := waited[ids[4]]; w < 9*time.Minute || w > 11*time.Minute {
		e.Errorf("due for 10 minutes it waited %v", w)
	}
	if w := waited[ids[0]]; w < 0 || w > time.Minute {
		e.Errorf("due at once it waited %v", w)
	}
	e.must(s.WriteStats(e.ctx, true))
	e.wantNumbers("first", e.total(outbox.StatsQuery{}), "enqueued 5 sent 2 refused 2 done 0 failed 0 dead 1 wait 2 run 0")
	if q := e.total(outbox.StatsQuery{Queue: "mail"}).Wait.Quantile(0.5); q < 8*time.Minute || q > 13*time.Minute {
		e.Errorf("p50 of the wait is %v", q)
	}
	// All are sent at last.
	to[ids[1]], to[ids[2]], to[ids[3]] = ackbox.Sent, ackbox.Sent, ackbox.Sent
	e.set(ids[1], "state = 'pending', due_at = "+e.at(0))
	relay()
	e.must(s.WriteStats(e.ctx, true))
	e.wantNumbers("at last", e.total(outbox.StatsQuery{}), "enqueued 6 sent 5 refused 2 done 0 failed 0 dead 1 wait 5 run 0")
	// A requeued one is sent, and is no new one.
	e.set(ids[0], e.inState(ackbox.Dead))
	_, err := s.Requeue(e.ctx, ids[0])
	e.must(err)
	to[ids[0]] = ackbox.Sent
	relay()
	e.must(s.WriteStats(e.ctx, true))
	e.wantNumbers("requeued", e.total(outbox.StatsQuery{}), "enqueued 6 sent 6 refused 2 done 0 failed 0 dead 1 wait 6 run 0")

	// By queue and by kind; the hours are those of the minutes.
	for _, step := range []time.Duration{time.Minute, time.Hour} {
		list := e.stats(outbox.StatsQuery{Step: step, ByQueue: true, ByKind: true})
		var queues []string
		for _, s := range list {
			if !slices.Contains(queues, s.Queue) {
				queues = append(queues, s.Queue)
			}
			if s.Kind != "note" || !s.At.Equal(s.At.Truncate(step)) || s.At.Location() != time.UTC {
				e.Errorf("by %v: %+v", step, s)
			}
		}
		slices.Sort(queues)
		if !slices.Equal(queues, []string{"", "default", "mail"}) {
			e.Errorf("by %v there are queues %q", step, queues)
		}
		e.wantNumbers("mail", e.total(outbox.StatsQuery{Step: step, Queue: "mail"}), "enqueued 1 sent 1 refused 0 done 0 failed 0 dead 0 wait 1 run 0")
		e.wantNumbers("no kind", e.total(outbox.StatsQuery{Step: step, Kind: "none"}), "enqueued 0 sent 0 refused 0 done 0 failed 0 dead 0 wait 0 run 0")
		for _, s := range e.stats(outbox.StatsQuery{Step: step}) {
			if s.Queue != "" || s.Kind != "" {
				e.Errorf("not asked for: %+v", s)
			}
		}
	}
}

// A job counts as enqueued when it was written, however late it is sent.
func statsOfOldJobs(e *env) {
	s := e.store()
	now := time.Now().Truncate(time.Hour)
	for _, ago := range []time.Duration{2 * time.Hour, 27 * time.Hour, 40 * 24 * time.Hour} {
		e.set(e.enqueue(), "created_at = "+e.at(-time.Since(now.Add(time.Minute-ago))))
	}
	e.relay(10, acked)
	e.must(s.WriteStats(e.ctx, true))
	for ago, want := range map[time.Duration]int64{0: 0, time.Hour: 0, 2 * time.Hour: 1, 3 * time.Hour: 0, 27 * time.Hour: 1} {
		list, err := s.Stats(e.ctx, outbox.StatsQuery{From: now.Add(-ago), To: now.Add(time.Minute - ago), Step: time.Hour})
		e.must(err)
		var got int64
		for _, s := range list {
			got += s.Enqueued
		}
		if got != want {
			e.Errorf("%v ago %d were enqueued, want %d", ago, got, want)
		}
	}
	// What would be purged at once is not written: of the three one by minutes, two by hours.
	for span, want := range map[int]int{60: 2, 3600: 3} { // and when they were sent
		var n int
		e.must(e.db.Raw(fmt.Sprintf("SELECT count(*) FROM %s WHERE span = %d", e.side("stats"), span)).Scan(&n).Error)
		if n != want {
			e.Errorf("%d rows of %d s, want %d", n, span, want)
		}
	}
}

// A worker's counts add up over processes and over time.
func statsOfRuns(e *env) {
	s := e.store()
	_, err := s.Beat(e.ctx, core.Instance{ID: outbox.NewID(), Role: core.RoleWorker})
	e.must(err)
	for range 3 {
		s.Ran(core.Ran{Queue: "mail", Kind: "a", To: ackbox.Done, For: 100 * time.Millisecond})
		s.Ran(core.Ran{Queue: "mail", Kind: "a", To: ackbox.Pending, For: 3 * time.Second})
		s.Ran(core.Ran{Queue: "mail", Kind: "a\x00\xff", To: ackbox.Dead})
		e.must(s.WriteStats(e.ctx, true))
	}
	e.must(s.WriteStats(e.ctx, true)) // nothing new
	e.wantNumbers("runs", e.total(outbox.StatsQuery{}), "enqueued 0 sent 0 refused 0 done 3 failed 3 dead 3 wait 0 run 6")
	got := e.total(outbox.StatsQuery{Kind: "a"})
	e.wantNumbers("of a kind", got, "enqueued 0 sent 0 refused 0 done 3 failed 3 dead 0 wait 0 run 6")
	for p, want := range map[float64]time.Duration{0.5: 100 * time.Millisecond, 0.99: 3 * time.Second} {
		if q := got.Run.Quantile(p); float64(q) < float64(want)/1.2 || float64(q) > float64(want)*1.2 {
			e.Errorf("p%v is %v, want %v to 19 %%", 100*p, q, want)
		}
	}
	// Not before its time, unless it is asked for.
	s.Ran(core.Ran{Queue: "mail", Kind: "b", To: ackbox.Done})
	e.must(s.WriteStats(e.ctx, false))
	if n := e.total(outbox.StatsQuery{Kind: "b"}).Done; n != 0 {
		e.Errorf("written %d at once", n)
	}
	// What cannot be written is kept.
	e.exec("ALTER TABLE " + e.side("stats") + " RENAME TO gone")
	e.wantError(s.WriteStats(e.ctx, true), "write statistics")
	e.exec("ALTER TABLE " + e.inSchema("gone") + " RENAME TO " + e.bare("stats"))
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	e.wantError(s.WriteStats(ctx, true), "canceled")
	e.must(s.WriteStats(e.ctx, true))
	e.wantNumbers("kept", e.total(outbox.StatsQuery{Kind: "b"}), "enqueued 0 sent 0 refused 0 done 1 failed 0 dead 0 wait 0 run 0")
}

// However many kinds there are, the rows of a minute are not.
func statsOfManyKinds(e *env) {
	s := e.store()
	for i := range 2000 {
		s.Ran(core.Ran{Queue: "one", Kind: fmt.Sprint(i), To: ackbox.Done, For: time.Second})
	}
	e.must(s.WriteStats(e.ctx, true))
	if n := e.rows(e.side("stats")); n > 2*2*501 { // of two minutes, and of two hours
		e.Errorf("%d rows of one queue", n)
	}
	if n := e.total(outbox.StatsQuery{Kind: "(other)"}).Done; n < 1000 {
		e.Errorf("%d of other kinds", n)
	}
	for i := range 3000 {
		s.Ran(core.Ran{Queue: fmt.Sprint("q", i), Kind: "a", To: ackbox.Done, For: time.Second})
	}
	e.must(s.WriteStats(e.ctx, true))
	if n := e.rows(e.side("stats")); n > 2*2*1002 {
		e.Errorf("%d rows", n)
	}
	e.wantNumbers("all", e.total(outbox.StatsQuery{}), "enqueued 0 sent 0 refused 0 done 5000 failed 0 dead 0 wait 0 run 5000")
	if n := e.total(outbox.StatsQuery{Queue: "(other)"}).Done; n < 1500 { // wherever the minute ends
		e.Errorf("%d of other queues", n)
	}
}

func statsAtOnce(e *env) {
	s := e.store()
	const processes, jobs = 8, 400
	done := make(chan error, processes)
	for range processes {
		go func() {
			var err error
			for i := range jobs {
				s.Ran(core.Ran{Queue: "mail", Kind: fmt.Sprint(i % 50), To: ackbox.Done, For: time.Second})
				if i%20 == 0 && err == nil {
					err = s.WriteStats(e.ctx, true)
				}
			}
			done <- err
		}()
	}
	for range processes {
		e.must(<-done)
	}
	e.must(s.WriteStats(e.ctx, true))
	if n := e.total(outbox.StatsQuery{}).Done; n != processes*jobs {
		e.Errorf("counted %d, want %d", n, processes*jobs)
	}
}

func statsPurge(e *env) {
	s := e.store()
	s.Ran(core.Ran{Queue: "mail", Kind: "a", To: ackbox.Done})
	e.must(s.WriteStats(e.ctx, true))
	for i := range 3 {
		for _, span := range []int{60, 3600} {
			e.exec(fmt.Sprintf("INSERT INTO %s (span, at, queue, kind) VALUES (%d, %s, 'old', '%d')", e.side("stats"), span, e.at(-27*time.Hour), i))
		}
	}
	purge := func(step, retention time.Duration, limit, want int) {
		e.Helper()
		if n, err := s.PurgeStats(e.ctx, step, retention, limit); n != want || err != nil {
			e.Errorf("purged %d of %v, %v, want %d", n, step, err, want)
		}
	}
	purge(time.Minute, 28*time.Hour, 10, 0)
	purge(time.Minute, 26*time.Hour, 2, 2)
	purge(time.Minute, 26*time.Hour, 2, 1)
	purge(time.Minute, 26*time.Hour, 2, 0)
	purge(time.Hour, 26*time.Hour, 10, 3)
	if n := e.rows(e.side("stats")); n != 2 {
		e.Errorf("%d rows are left, want 2", n)
	}
	for _, limit := range []int{0, outbox.MaxBatch + 1} {
		_, err := s.PurgeStats(e.ctx, time.Hour, 0, limit)
		e.wantError(err, "limit")
	}
	_, err := s.PurgeStats(e.ctx, time.Second, 0, 1)
	e.wantError(err, "1h")
}

func statsRefused(e *env) {
	s, now := e.store(), time.Now()
	for what, q := range map[string]outbox.StatsQuery{
		"Step":       {From: now.Add(-time.Hour), To: now},
		"after From": {From: now, To: now, Step: time.Hour},
		"two times":  {To: now, Step: time.Hour},
		"25h":        {From: now.Add(-26 * time.Hour), To: now, Step: time.Minute},
		"744h":       {From: now.Add(-32 * 24 * time.Hour), To: now, Step: time.Hour},
	} {
		_, err := s.Stats(e.ctx, q)
		e.wantError(err, what)
	}
	for _, name := range []string{"\x00", "\xff"} {
		for _, q := range []outbox.StatsQuery{{Queue: name}, {Kind: name}} {
			if list := e.stats(q); len(list) != 0 {
				e.Errorf("%+v of %q", list, name)
			}
		}
	}
}
