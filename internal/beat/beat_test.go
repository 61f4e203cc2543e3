package beat_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox/internal/beat"
	"github.com/ackbox/ackbox/internal/core"
)

// ledger is what hears the beats.
type ledger struct {
	beats   []core.Instance
	left    []string
	written []bool
	err     error
}

func (l *ledger) Beat(ctx context.Context, self core.Instance) (core.Census, error) {
	l.beats = append(l.beats, self)
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > core.Silence {
		return core.Census{}, errors.New("this may take for ever")
	}
	return core.Census{Sweepers: len(l.beats)}, l.err
}

func (l *ledger) Leave(ctx context.Context, id string) error {
	l.left = append(l.left, id)
	return ctx.Err()
}

func (l *ledger) WriteStats(ctx context.Context, all bool) error {
	l.written = append(l.written, all)
	return ctx.Err()
}

func TestHeart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		h := beat.New(l, core.RoleWorker, []string{"q"}, func(context.Context) core.Detail { return core.Detail{Slots: len(l.beats)} })
		h.Stats = l
		if _, heard := h.Silence(); heard {
			t.Error("heard before the first beat")
		}
		time.Sleep(time.Minute) // the bubble's
		if first, err := h.Beat(t.Context()); err != nil || first.After != 0 || first.Sweepers != 1 {
			t.Errorf("the first beat brings %+v, %v", first, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		n := 0
		h.Run(ctx, func(_ context.Context, heard beat.Heard, err error) {
			switch n++; {
			case n == 5:
				l.err = errors.New("away")
			case n > 5 && n <= 10:
				if silence, _ := h.Silence(); err == nil || silence != time.Duration(n-5)*core.BeatInterval {
					t.Errorf("beat %d: %v after %v", n, err, silence)
				}
				if n == 10 {
					l.err = nil
				}
			case n == 11:
				if err != nil || heard.After != 6*core.BeatInterval {
					t.Errorf("back after %v, %v", heard.After, err)
				}
				stop()
			case err != nil || heard.After != core.BeatInterval || heard.Unwritten != nil:
				t.Errorf("beat %d: %+v, %v", n, heard, err)
			}
		})
		if n != 11 || len(l.written) != 6 {
			t.Errorf("%d beats, %d of them with statistics", n, len(l.written))
		}
		if err := errors.Join(h.WriteLast(ctx), h.Leave(ctx)); err != nil {
			t.Errorf("the last words, though ctx has ended: %v", err)
		}
		last := l.beats[len(l.beats)-1]
		if l.left[0] != h.ID() || last.ID != h.ID() || last.PID == 0 || last.Detail.Slots != 11 || last.Queues[0] != "q" || !l.written[6] {
			t.Errorf("the last beat is %+v; left %v, written %v", last, l.left, l.written)
		}
	})
}

func TestLife(t *testing.T) {
	t.Parallel()
	var l beat.Life
	if h, runs := l.Health("part"); runs || !h.Live || h.Ready || h.Part != "part" || h.Why == "" {
		t.Errorf("before: %+v", h)
	}
	if !l.Begin() || l.Begin() {
		t.Error("it runs twice")
	}
	if h, runs := l.Health("part"); !runs || !h.Live || !h.Ready || h.Why != "" {
		t.Errorf("running: %+v", h)
	}
	l.End()
	if h, runs := l.Health("part"); runs || h.Live || h.Ready || h.Why == "" {
		t.Errorf("after: %+v", h)
	}
	if !l.Begin() {
		t.Error("it cannot begin again")
	}
}
