package dispatcher_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/internal/core"
)

func TestTellsThatItLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(0)
		d := newDispatcher(t, o, &broker{}, dispatcher.Config{})
		for range 2 {
			stop := run(t, d)
			advance(30 * time.Second)
			stop()
		}
		if n := len(o.beats); n < 20 || n > 24 {
			t.Errorf("%d beats in a minute, want one every 3 s", n)
		}
		if n := len(o.written); n < 20 || !o.written[n-1] || o.written[0] {
			t.Errorf("a chance to write statistics: %v", o.written)
		}
		first, last := o.beats[0], o.beats[len(o.beats)-1]
		if first.Role != core.RoleDispatcher || first.ID == "" || first.PID == 0 || first.Detail.Trouble != "" {
			t.Errorf("beat %+v", first)
		}
		if first.ID == last.ID || len(o.left) != 2 || o.left[0] != first.ID || o.left[1] != last.ID {
			t.Errorf("instances %s and %s, of which %q have left", first.ID, last.ID, o.left)
		}
	})
}

// Whether anybody hears it changes nothing.
func TestCarriesThoughNobodyHearsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		o := newOutbox(1000)
		o.deaf = errors.New("no permission")
		d := newDispatcher(t, o, &broker{}, dispatcher.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		stop := run(t, d)
		advance(3 * time.Minute)
		stop()
		if d.Stats().Sent != 1000 {
			t.Errorf("sent %d", d.Stats().Sent)
		}
		if n := strings.Count(log.String(), "lives; trying again"); n < 3 || n > 4 {
			t.Errorf("told %d times in 3 minutes:\n%s", n, log.String())
		}
		if n := strings.Count(log.String(), "statistics cannot be written; trying again"); n != 0 {
			t.Errorf("it tried to write where nobody hears: %d", n)
		}
		if !strings.Contains(log.String(), "the last statistics cannot be written") {
			t.Errorf("lost statistics are not told:\n%s", log.String())
		}
		if !strings.Contains(log.String(), "has ended; it is shown as silent") {
			t.Errorf("its end is not told:\n%s", log.String())
		}
	})
}

// failing is an error that comes and goes.
type failing struct{ err atomic.Pointer[error] }

func (f *failing) set(err error) { f.err.Store(&err) }

func (f *failing) now() error {
	if err := f.err.Load(); err != nil {
		return *err
	}
	return nil
}

func (o *outbox) lastBeat() core.Instance {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.beats[len(o.beats)-1]
}

func wantHealth(t *testing.T, d *dispatcher.Dispatcher, live, ready bool, why string) {
	t.Helper()
	h := d.Health(t.Context())
	if h.Part != "dispatcher" || h.Live != live || h.Ready != ready || why == "" && h.Why != "" || !strings.Contains(h.Why, why) {
		t.Errorf("health is %+v, want live %v, ready %v, because %q", h, live, ready, why)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, b := newOutbox(0), &broker{}
		var away, broken failing
		wait := make(chan struct{})
		b.ready = func(ctx context.Context) error {
			err := away.now()
			if err == nil {
				return nil
			}
			select {
			case <-ctx.Done():
				return err
			case <-wait:
				return nil
			}
		}
		o.claim = broken.now
		b.publish = func(_ context.Context, jobs []ackbox.Job) []core.Outcome { return all(core.NackedByBroker, jobs) }
		d := newDispatcher(t, o, b, dispatcher.Config{})
		wantHealth(t, d, true, false, "not called yet")
		stop := run(t, d)
		advance(time.Minute)
		wantHealth(t, d, true, true, "")

		away.set(errors.New("no route to broker"))
		advance(500 * time.Millisecond)
		wantHealth(t, d, true, true, "") // a moment is no news
		advance(10 * time.Second)
		wantHealth(t, d, true, false, "no route to broker")
		if last := o.lastBeat(); !strings.Contains(last.Detail.Trouble, "no route to broker") {
			t.Errorf("its last beat says %q", last.Detail.Trouble)
		}
		away.set(nil)
		close(wait)
		advance(time.Second)
		wantHealth(t, d, true, true, "")

		broken.set(errors.New("no database"))
		advance(10 * time.Second)
		wantHealth(t, d, true, false, "no database")
		broken.set(nil)
		advance(time.Minute)
		wantHealth(t, d, true, true, "")

		o.add(10)
		o.signal()
		advance(500 * time.Millisecond)
		wantHealth(t, d, true, true, "refuses what is published to q")
		stop()
		wantHealth(t, d, false, false, "ended")
	})
}
