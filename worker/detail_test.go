package worker_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/worker"
)

// Each beat tells what runs, the longest first, and what is overdue.
func TestBeatTellsWhatRuns(t *testing.T) {
	h := plain{consume: func(_ context.Context, job ackbox.Job) error {
		if job.ID == "stuck" {
			time.Sleep(time.Minute) // the bubble's; it ignores its timeout
		} else {
			time.Sleep(30 * time.Second)
		}
		return nil
	}}
	cfg := worker.Config{Queues: []worker.Queue{{Name: "default", Concurrency: 60}}, JobTimeout: 10 * time.Second}
	run(t, cfg, h, func(b *bench) {
		told := func() (d core.Detail) {
			b.ledger.set(func(l *ledger) { d = l.told })
			return d
		}
		if d := told(); d.Slots != 60 || d.InHand != 0 || d.Running != nil {
			t.Errorf("idle it tells %+v", d)
		}
		first := job("stuck")
		first.Key = "order:42"
		b.send(first)
		b.pass(4 * time.Second)
		for i := range 99 {
			b.send(job(fmt.Sprint("j", i)))
		}
		b.pass(3 * time.Second)
		d := told()
		if d.InHand != 100 || d.Overdue != 0 || len(d.Running) != core.MaxRunning {
			t.Fatalf("it tells %d in hand, %d overdue, %d running", d.InHand, d.Overdue, len(d.Running))
		}
		one := d.Running[0]
		if one.ID != "stuck" || one.Kind != "k" || one.Queue != "default" || one.Key != "order:42" || one.Overdue || one.For < 5*time.Second || one.For > 7*time.Second {
			t.Errorf("the first is %+v", one)
		}
		b.pass(12 * time.Second) // 10 s of timeout and 5 s
		if d := told(); d.Overdue != 1 || !d.Running[0].Overdue || d.Running[1].Overdue {
			t.Errorf("it tells %d overdue, first %+v", d.Overdue, d.Running[0])
		}
		b.pass(2 * time.Minute)
		if d := told(); d.InHand != 0 || d.Overdue != 0 || d.Running != nil {
			t.Errorf("at last it tells %+v", d)
		}
	})
}
