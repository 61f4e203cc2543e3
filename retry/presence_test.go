package retry_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/retry"
)

// A running sweeper says every few seconds that it lives, takes back what dead
// instances had, however long another sweep takes, and says at its end that it ends.
func TestSweeperTakesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var beats, back []time.Duration
		var ids, left []string
		start := time.Now()
		s := &store{
			beat: func(i core.Instance) error {
				beats, ids = append(beats, time.Since(start)), append(ids, i.ID)
				if i.Role != core.RoleSweeper {
					t.Errorf("role %q", i.Role)
				}
				return nil
			},
			takeBack: func(limit int) (int, error) {
				back = append(back, time.Since(start))
				if len(back) == 1 {
					return limit, nil // there may be more
				}
				return 0, nil
			},
			leave: func(id string) error { left = append(left, id); return nil },
			rearm: func(context.Context, string, int) (int, error) { time.Sleep(time.Minute); return 0, nil },
		}
		sweeper := newSweeper(t, s, waiting(nothingWaits), retry.Config{Rearm: "@every 1s"})
		ctx, stop := context.WithTimeout(t.Context(), 31*time.Second)
		defer stop()
		if err := sweeper.Run(ctx); err != nil {
			t.Error(err)
		}
		if len(beats) != 11 || beats[10] != 30*time.Second || len(back) != 12 || back[1] != 0 {
			t.Errorf("beats at %v, looked for the dead at %v; want both every 3 s, and again at once after a full statement", beats, back)
		}
		if len(left) != 1 || left[0] != ids[0] || ids[0] == "" || ids[10] != ids[0] {
			t.Errorf("instances %q, of which %q left", ids, left)
		}
	})
}

// Jobs that nobody takes are told once in ten minutes, with what is missing.
func TestUnattendedQueuesAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &store{unattended: func() ([]core.Unattended, error) {
			return []core.Unattended{{Queue: "mail", Due: 7}, {Queue: "pdf", Sent: 1000}}, nil
		}}
		sweeper := newSweeper(t, s, waiting(nothingWaits), retry.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, stop := context.WithTimeout(t.Context(), 30*time.Minute)
		defer stop()
		if err := sweeper.Run(ctx); err != nil {
			t.Error(err)
		}
		for _, want := range []string{`no dispatcher runs, or the broker takes nothing for the queue" queue="queue mail" jobs=7`, `no living worker consumes" queue="queue pdf" jobs=1000`} {
			if n := strings.Count(log.String(), want); n != 3 {
				t.Errorf("%q told %d times in half an hour, want 3:\n%s", want, n, &log)
			}
		}
	})
}

// A ledger that is away is told once a minute, and nobody is taken for dead meanwhile.
func TestPresenceWithoutLedger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		looked := 0
		s := &store{
			beat:     func(core.Instance) error { return errors.New("no database") },
			takeBack: func(int) (int, error) { looked++; return 0, nil },
			leave:    func(string) error { return errors.New("no database") },
		}
		sweeper := newSweeper(t, s, waiting(nothingWaits), retry.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
		defer stop()
		if err := sweeper.Run(ctx); err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "cannot be told that this sweeper lives"); n < 9 || n > 11 {
			t.Errorf("told %d times in ten minutes", n)
		}
		if looked != 0 || !strings.Contains(log.String(), "it will be taken for dead instead") {
			t.Errorf("looked %d times; log:\n%s", looked, &log)
		}
	})
}
