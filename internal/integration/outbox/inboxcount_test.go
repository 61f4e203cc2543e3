package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

// copyOf is one of the copies of a message that a broker hands out.
type copyOf struct {
	id    string
	round int
	cause error // it is handled by FailAction
}

var errKilled = errors.New("killed")

// hand has a copy handled until the broker would forget it: until its effect is known to
// be committed, or it is told that it is superseded. Meanwhile its handler fails, panics
// and dies at whatever moment, before its commit and after it.
func hand(ctx context.Context, db *gorm.DB, c copyOf) error {
	for ctx.Err() == nil {
		err := handle(handling(ctx, c.id, c.round, c.cause), db, c)
		switch {
		case errors.Is(err, ackbox.ErrSuperseded):
			return nil
		case errors.Is(err, outbox.ErrNoIdentity), errors.Is(err, outbox.ErrCompleted), errors.Is(err, outbox.ErrNotMigrated):
			return err
		case err == nil && rand.IntN(4) > 0:
			return nil
		}
		// It has failed, or died before it could acknowledge: delivered again.
	}
	return ctx.Err()
}

// handle is one call of the handler.
func handle(ctx context.Context, db *gorm.DB, c copyOf) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v: %w", p, errKilled)
		}
	}()
	return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if rand.IntN(3) == 0 {
			if err := tx.Exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").Error; err != nil {
				return err
			}
		}
		first := rand.IntN(2) == 0
		if first {
			if err := outbox.Complete(ctx, tx); err != nil {
				return err
			}
		}
		if err := tx.Exec("INSERT INTO effects VALUES (?, ?, ?)", c.id, c.round, c.cause != nil).Error; err != nil {
			return err
		}
		if !first {
			if err := outbox.Complete(ctx, tx); err != nil {
				return err
			}
		}
		switch rand.IntN(5) {
		case 0:
			return errKilled
		case 1:
			panic("killed")
		}
		return nil
	})
}

// killing ends sessions that are handling something, until ctx ends; it returns how many.
func killing(ctx context.Context, t *testing.T, db *gorm.DB) (killed int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return killed
		case <-tick.C:
			var n int
			err := db.Raw(`SELECT count(pg_terminate_backend(pid)) FROM (
				SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
					AND (query LIKE '%effects%' OR query LIKE '%_inbox%') AND state <> 'idle' ORDER BY random() LIMIT 1) AS victim`).Scan(&n).Error
			if err != nil {
				t.Error(err)
				return killed
			}
			killed += n
		}
	}
}

// Proof by counting: many handle copies of the same messages at once, and are killed,
// with their sessions to the database, at random moments. Each message has its effect
// once, in its first round either that of Consume or that of FailAction, and where it was
// FailAction's, once more when it is requeued from the dead queue.
func TestInboxEffectsCounted(t *testing.T) {
	t.Parallel()
	db, s := store(t, outbox.Config{})
	// The killer has a pool of his own: his sessions are not to be killed.
	killer := open(t, postgres.Open(testenv.DatabaseURL(t)), 1, gorm.Config{})
	run(t, db, "CREATE TABLE effects (id text, round int, given_up boolean)")
	ctx := contextWithin(t, 2*time.Minute)
	const messages, copies, hands = 150, 4, 16
	cause := errors.New("no")

	round := func(attemptsBefore int, giveUp bool) {
		var all []copyOf
		for m := range messages {
			for n := range copies {
				c := copyOf{id: fmt.Sprint(m), round: attemptsBefore}
				switch {
				case giveUp && m%2 == 0 && n >= copies/2:
					c.cause = cause
				case !giveUp && n == 0: // one that was under way all the time
					c.round = 0
				}
				all = append(all, c)
			}
		}
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		work := make(chan copyOf, len(all))
		for _, c := range all {
			work <- c
		}
		close(work)
		var busy sync.WaitGroup
		for range hands {
			busy.Go(func() {
				for c := range work {
					if err := hand(ctx, db, c); err != nil {
						t.Errorf("message %s: %v", c.id, err)
					}
				}
			})
		}
		over, stop := context.WithCancel(ctx)
		killed := make(chan int, 1)
		go func() { killed <- killing(over, t, killer) }()
		busy.Wait()
		stop()
		if n := <-killed; n < 5 {
			t.Errorf("only %d sessions were killed", n)
		} else {
			t.Logf("round %d: %d sessions were killed", attemptsBefore, n)
		}
	}

	round(0, true)
	dead := effects(t, db, "given_up")
	for what, where := range map[string]string{
		"effects in the first round": "true",
		"messages with an effect":    "id IN (SELECT id FROM effects GROUP BY id HAVING count(*) = 1)",
		"messages as the inbox says": "EXISTS (SELECT 1 FROM ackbox_jobs_inbox AS i WHERE i.id = effects.id AND i.dead = given_up AND i.round = 0)",
	} {
		if n := effects(t, db, where); n != messages {
			t.Errorf("%s: %d, want %d", what, n, messages)
		}
	}
	if dead == 0 || dead > messages/2 {
		t.Errorf("%d messages were given up", dead)
	}

	// What was given up is requeued, and so are copies of what was not.
	round(3, false)
	for what, tt := range map[string]struct {
		where string
		want  int
	}{
		"effects after the second round":        {"true", messages + dead},
		"effects of what was not given up":      {"NOT given_up AND id NOT IN (SELECT id FROM effects WHERE given_up)", messages - dead},
		"effects of what was, when requeued":    {"NOT given_up AND round = 3 AND id IN (SELECT id FROM effects WHERE given_up)", dead},
		"given up in all":                       {"given_up", dead},
		"messages done, as the inbox says":      {"NOT given_up AND EXISTS (SELECT 1 FROM ackbox_jobs_inbox AS i WHERE i.id = effects.id AND NOT i.dead AND i.round = effects.round)", messages},
		"second rounds of what was done before": {"round = 3 AND id NOT IN (SELECT id FROM effects WHERE given_up)", 0},
	} {
		if n := effects(t, db, tt.where); n != tt.want {
			t.Errorf("%s: %d, want %d", what, n, tt.want)
		}
	}
	if n, err := s.PurgeInbox(ctx, 0, outbox.MaxBatch); n != messages || err != nil {
		t.Errorf("the inbox had %d entries, %v; want one for each message", n, err)
	}
	t.Logf("%d messages in %d copies each, twice: %d effects, %d of them of FailAction", messages, copies, effects(t, db, "true"), dead)
}
