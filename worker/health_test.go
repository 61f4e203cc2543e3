package worker_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/worker"
)

func (b *bench) wantHealth(live, ready bool, why ...string) {
	b.Helper()
	h := b.worker.Health(b.Context())
	ok := h.Part == "worker" && h.Live == live && h.Ready == ready && (h.Why == "") == (len(why) == 0)
	for _, w := range why {
		ok = ok && strings.Contains(h.Why, w)
	}
	if !ok {
		b.Errorf("health is %+v, want live %v, ready %v, because %q", h, live, ready, why)
	}
}

func TestHealth(t *testing.T) {
	var release chan struct{}
	h := plain{consume: func(_ context.Context, job ackbox.Job) error { <-release; return nil }}
	cfg := worker.Config{Concurrency: 3, JobTimeout: time.Minute}
	away := func(l *ledger) { l.beat = func() (core.Census, error) { return core.Census{}, errors.New("away") } }
	deaf := func(l *ledger) worker.Ledger { away(l); return l }
	runOn(t, deaf, cfg, h, func(b *bench) {
		release = make(chan struct{}) // of the bubble
		b.pass(time.Minute)
		b.wantHealth(true, false, "not heard of it yet")
		b.ledger.recover()
		b.pass(10 * time.Second)
		b.wantHealth(true, true)

		b.ledger.set(away)
		b.pass(10 * time.Second)
		b.wantHealth(true, true) // a beat or two are no news
		b.pass(10 * time.Second)
		b.wantHealth(true, false, "has not heard of it for 2")
		b.ledger.recover()
		b.pass(10 * time.Second)
		b.wantHealth(true, true)

		for _, id := range []string{"one", "two"} {
			b.deliver(job(id))
		}
		b.pass(64 * time.Second)
		b.wantHealth(true, true) // it may take a moment longer
		b.pass(2 * time.Second)
		b.wantHealth(true, true, "2 of the 3 slots of queue default")
		b.deliver(job("three"))
		b.pass(66 * time.Second)
		b.wantHealth(false, false, "3 of the 3 slots of queue default")
		close(release)
		b.pass(time.Second)
		b.wantHealth(true, true)
		b.end()
		b.wantHealth(false, false, "ended")
	})
}
