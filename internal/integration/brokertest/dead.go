package brokertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// buried puts n messages of others into work's dead queue, of the kinds k0, k1, k0, …,
// and returns their ids.
func (f *fixture) buried(n int) (ids []string) {
	f.t.Helper()
	for i := range n {
		job := foreign(work)
		job.Kind, job.Attempt = fmt.Sprint("k", i%2), 3
		f.must("Bury", f.Bury(f.ctx, core.Delivery{Job: job}, fmt.Sprintf("handler: no stock of %d", i)))
		ids = append(ids, job.ID)
	}
	f.waits(work+".dead", n)
	return ids
}

// dead checks which messages of the dead queue a filter chooses.
func (f *fixture) dead(filter ackbox.DeadFilter, want ...string) []ackbox.DeadMessage {
	f.t.Helper()
	report, err := f.Dead(f.ctx, work, filter, 100)
	f.must("Dead", err)
	var got []string
	for _, m := range report.Messages {
		got = append(got, m.ID)
	}
	if !slices.Equal(got, want) || report.Matched != len(want) || !report.Complete {
		f.t.Errorf("%+v chooses %v of %d, complete %v; want %v", filter, got, report.Looked, report.Complete, want)
	}
	return report.Messages
}

// What is dead is listed by what it is, in its order, as often as one likes.
func deadIsListed(f *fixture) {
	f.dead(ackbox.DeadFilter{})
	before := time.Now().Add(-time.Minute)
	ids := f.buried(4)
	after := time.Now().Add(time.Minute)
	for range 3 {
		f.dead(ackbox.DeadFilter{}, ids...)
	}
	f.dead(ackbox.DeadFilter{In: work + ".dead", Kind: "k1"}, ids[1], ids[3])
	f.dead(ackbox.DeadFilter{ID: ids[2]}, ids[2])
	f.dead(ackbox.DeadFilter{Error: "stock of 3"}, ids[3])
	f.dead(ackbox.DeadFilter{RoutingKey: work}, ids...)
	f.dead(ackbox.DeadFilter{Exchange: "nowhere"})
	f.dead(ackbox.DeadFilter{DiedAfter: before, DiedBefore: after}, ids...)
	f.dead(ackbox.DeadFilter{DiedAfter: after})
	f.dead(ackbox.DeadFilter{DiedBefore: before})
	for i, m := range f.dead(ackbox.DeadFilter{}, ids...) {
		if m.Kind != fmt.Sprint("k", i%2) || m.Queue != work || m.RoutingKey != work || m.Attempt != 3 || m.Message == nil ||
			m.Error != fmt.Sprintf("handler: no stock of %d", i) || m.DiedAt.Before(before) || m.DiedAt.After(after) || m.FirstSeen.After(m.DiedAt) {
			f.t.Errorf("message %d is %+v", i, m)
		}
	}
	report, err := f.Dead(f.ctx, work, ackbox.DeadFilter{}, 1)
	if len(report.Messages) != 1 || report.Matched != 4 || report.Looked != 4 || err != nil {
		f.t.Errorf("with a limit of 1: %+v, %v", report, err)
	}
	f.waits(work+".dead", 4)
}

// What is requeued or deleted is what the dry run of the same filter has shown, up to the
// limit, oldest first.
func deadIsMoved(f *fixture) {
	ids := f.buried(6)
	odd := ackbox.DeadFilter{Kind: "k1"}
	f.dead(odd, ids[1], ids[3], ids[5])
	if n, err := f.RequeueDead(f.ctx, work, odd, 0); n != 0 || err != nil {
		f.t.Errorf("requeued %d, %v; want none", n, err)
	}
	if n, err := f.RequeueDead(f.ctx, work, odd, 100); n != 3 || err != nil {
		f.t.Errorf("requeued %d, %v; want 3", n, err)
	}
	s := f.subscribe(work, 1)
	for _, i := range []int{1, 3, 5} {
		if d := s.nextAcked(); d.ID != ids[i] || d.Attempt != 4 || d.AttemptsBefore != 3 {
			f.t.Errorf("came %s at try %d after %d, want %s", d.ID, d.Attempt, d.AttemptsBefore, ids[i])
		}
	}
	if n, err := f.DeleteDead(f.ctx, work, ackbox.DeadFilter{Error: "stock of 2"}, 100); n != 1 || err != nil {
		f.t.Errorf("deleted %d, %v; want 1", n, err)
	}
	f.dead(ackbox.DeadFilter{}, ids[0], ids[4])
	if n, err := f.DeleteDead(f.ctx, work, ackbox.DeadFilter{All: true}, 1); n != 1 || err != nil {
		f.t.Errorf("deleted %d, %v; want 1", n, err)
	}
	f.dead(ackbox.DeadFilter{}, ids[4])
}

// What chooses nothing, or makes no sense, changes nothing.
func deadIsRefused(f *fixture) {
	ids := f.buried(1)
	now := time.Now()
	for name, err := range map[string]error{
		"an empty filter":         second(f.DeleteDead(f.ctx, work, ackbox.DeadFilter{}, 1)),
		"a queue alone":           second(f.DeleteDead(f.ctx, work, ackbox.DeadFilter{In: work + ".dead"}, 1)),
		"the work queue":          second(f.DeleteDead(f.ctx, work, ackbox.DeadFilter{In: work, All: true}, 1)),
		"an unknown queue":        second(f.DeleteDead(f.ctx, "unknown", ackbox.DeadFilter{All: true}, 1)),
		"a negative limit":        second(f.DeleteDead(f.ctx, work, ackbox.DeadFilter{All: true}, -1)),
		"impossible times":        second(f.RequeueDead(f.ctx, work, ackbox.DeadFilter{DiedAfter: now, DiedBefore: now}, 1)),
		"a limit without a queue": second(f.RequeueDead(f.ctx, work, ackbox.DeadFilter{DeliveryLimit: 5}, 1)),
	} {
		if err == nil {
			f.t.Errorf("%s: no error", name)
		}
	}
	f.dead(ackbox.DeadFilter{}, ids...)
}

func second(_ int, err error) error { return err }
