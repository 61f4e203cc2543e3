package storetest

import (
	"context"
	"strings"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// A job's key goes with it wherever it is read.
func key(e *env) {
	const word = `order:42 'é" {now} ?`
	id, without := e.enqueue(outbox.Key(word)), e.enqueue()
	e.must(e.db.WithContext(e.ctx).Transaction(func(tx *gorm.DB) error {
		return outbox.EnqueueAll(e.ctx, tx,
			outbox.Item{Args: note{}, Options: []outbox.Option{outbox.Key("two"), outbox.Event("", "theirs")}},
			outbox.Item{Args: note{}, Options: []outbox.Option{outbox.Key("two"), outbox.Key(strings.Repeat("k", 200))}})
	}))
	if got := e.get(id).Key; got != word {
		e.Errorf("key %q, want %q", got, word)
	}
	want := map[string]int{word: 1, "": 1, "two": 1, strings.Repeat("k", 200): 1}
	_, err := e.store().Relay(e.ctx, core.Claim{Limit: 10}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		for _, job := range jobs {
			want[job.Key]--
		}
		return make([]core.Transition, len(jobs))
	})
	e.must(err)
	for key, n := range want {
		if n != 0 {
			e.Errorf("key %q: %d claimed too few", key, n)
		}
	}
	var none int64
	e.must(e.db.WithContext(e.ctx).Raw("SELECT count(*) FROM " + e.table() + " WHERE key IS NULL AND id = '" + without + "'").Scan(&none).Error)
	if none != 1 {
		e.Error("a job without a key has one")
	}
	for _, bad := range []string{"", "\x00", "\xff", strings.Repeat("k", 201)} {
		err := e.db.WithContext(e.ctx).Transaction(func(tx *gorm.DB) error { return outbox.Enqueue(e.ctx, tx, note{}, outbox.Key(bad)) })
		e.wantError(err, "Key ")
	}
}
