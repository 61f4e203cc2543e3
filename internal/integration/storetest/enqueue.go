package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

func testMigrate(t *testing.T, b *bench) {
	id := b.enqueue()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := b.store.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b.is(id, ackbox.Pending, 1, 0)
	if sql := b.store.MigrationSQL(); !strings.Contains(sql, "CREATE TABLE") {
		t.Errorf("MigrationSQL creates no table:\n%s", sql)
	}
}

var errRollback = errors.New("rolled back on purpose")

func testTransaction(t *testing.T, b *bench) {
	place := func(tx *gorm.DB, n int) error {
		if err := tx.Exec("INSERT INTO orders (id) VALUES (?)", n).Error; err != nil {
			return err
		}
		return outbox.Enqueue(t.Context(), tx, work{n})
	}
	b.must(b.db.Transaction(func(tx *gorm.DB) error { return place(tx, 1) }))
	err := b.db.Transaction(func(tx *gorm.DB) error { return errors.Join(place(tx, 2), errRollback) })
	if !errors.Is(err, errRollback) {
		t.Fatal(err)
	}
	// A nested transaction is a savepoint: its jobs go with it.
	b.must(b.db.Transaction(func(tx *gorm.DB) error {
		if err := place(tx, 3); err != nil {
			return err
		}
		inner := tx.Transaction(func(tx *gorm.DB) error { return errors.Join(place(tx, 4), errRollback) })
		if !errors.Is(inner, errRollback) {
			return fmt.Errorf("the nested transaction: %w", inner)
		}
		return tx.Transaction(func(tx *gorm.DB) error { return place(tx, 5) })
	}))
	b.must(b.db.Transaction(func(tx *gorm.DB) error {
		b.must(tx.SavePoint("here").Error)
		b.must(place(tx, 6))
		b.must(tx.RollbackTo("here").Error)
		return place(tx, 7)
	}))
	var payloads []string
	for _, job := range b.relay(sent) {
		payloads = append(payloads, string(job.Payload))
	}
	if got, want := strings.Join(payloads, " "), `{"n":1} {"n":3} {"n":5} {"n":7}`; got != want {
		t.Errorf("published %s, want %s", got, want)
	}
}

func testNotInTransaction(t *testing.T, b *bench) {
	if err := outbox.Enqueue(t.Context(), b.db, work{1}); !errors.Is(err, outbox.ErrNotInTransaction) {
		t.Errorf("a plain handle: %v", err)
	}
	if err := b.store.Enqueue(t.Context(), nil, work{1}, outbox.OwnTransaction()); err == nil {
		t.Error("a nil handle was taken")
	}
	if err := b.store.EnqueueTx(t.Context(), nil, outbox.Item{Args: work{1}}); !errors.Is(err, outbox.ErrNotInTransaction) {
		t.Errorf("a nil *sql.Tx: %v", err)
	}
	finished := b.db.Begin()
	b.must(finished.Commit().Error)
	if err := outbox.Enqueue(t.Context(), finished, work{1}); err == nil {
		t.Error("a finished transaction was taken")
	}
	if n := b.rows(); n != 0 {
		t.Errorf("%d rows were written", n)
	}
	b.must(outbox.Enqueue(t.Context(), b.db, work{1}, outbox.OwnTransaction()))
	if n := b.rows(); n != 1 {
		t.Errorf("OwnTransaction wrote %d rows, want 1", n)
	}
}

type badKind string

func (k badKind) Kind() string { return string(k) }

type bulky struct{ Text string }

func (bulky) Kind() string { return "test.bulky" }

type unencodable struct{ C chan int }

func (unencodable) Kind() string { return "test.unencodable" }

func testBadJobs(t *testing.T, b *bench) {
	for name, bad := range map[string]struct {
		item outbox.Item
		want string
		is   error
	}{
		"nil args":          {outbox.Item{}, "args are nil", nil},
		"empty kind":        {outbox.Item{Args: badKind("")}, "Kind() is empty", nil},
		"bad kind":          {outbox.Item{Args: badKind(`x"; DROP TABLE orders; --`)}, "Kind()", nil},
		"unknown queue":     {outbox.Item{Args: work{}, Options: []outbox.Option{outbox.Queue("mial")}}, `"mial"`, outbox.ErrUnknownQueue},
		"payload too large": {outbox.Item{Args: bulky{strings.Repeat("x", outbox.DefaultMaxPayloadBytes)}}, "MaxPayloadBytes", outbox.ErrTooLarge},
		"headers too large": {outbox.Item{Args: work{}, Options: []outbox.Option{outbox.Header("h", strings.Repeat("x", outbox.DefaultMaxHeaderBytes))}}, "MaxHeaderBytes", outbox.ErrTooLarge},
		"reserved header":   {outbox.Item{Args: work{}, Options: []outbox.Option{outbox.Header("X-Ackbox-Attempt", "9")}}, "reserved", nil},
		"empty header name": {outbox.Item{Args: work{}, Options: []outbox.Option{outbox.Header("", "9")}}, "header name", nil},
		"header not UTF-8":  {outbox.Item{Args: work{}, Options: []outbox.Option{outbox.Header("h", "\xff")}}, "UTF-8", nil},
		"header with NUL":   {outbox.Item{Args: work{}, Options: []outbox.Option{outbox.Header("h", "a\x00")}}, "header", nil},
		"no UUID":           {outbox.Item{Args: work{}, Options: []outbox.Option{outbox.ID("7")}}, "UUID", nil},
		"no tries":          {outbox.Item{Args: work{}, Options: []outbox.Option{outbox.MaxAttempts(-1)}}, "MaxAttempts", nil},
		"negative delay":    {outbox.Item{Args: work{}, Options: []outbox.Option{outbox.Delay(-1)}}, "Delay is -1ns", nil},
		"delay and time":    {outbox.Item{Args: work{}, Options: []outbox.Option{outbox.Delay(1), outbox.At(time.Now())}}, "both", nil},
		"event with queue":  {outbox.Item{Args: work{}, Options: []outbox.Option{outbox.Event("x", "y"), outbox.Queue("mail")}}, "both", nil},
		"event to nowhere":  {outbox.Item{Args: work{}, Options: []outbox.Option{outbox.Event("", "")}}, "neither", nil},
		"wrong route":       {outbox.Item{Args: work{}, Options: []outbox.Option{outbox.Via("", "other")}}, "default exchange", nil},
		"long routing key":  {outbox.Item{Args: work{}, Options: []outbox.Option{outbox.Via("x", strings.Repeat("k", 300))}}, "routing key", nil},
		"nil option":        {outbox.Item{Args: work{}, Options: []outbox.Option{nil}}, "option is nil", nil},
		"unencodable":       {outbox.Item{Args: unencodable{}}, "encode payload", nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := b.db.Transaction(func(tx *gorm.DB) error {
				// The good one before it must not be written either.
				return outbox.EnqueueAll(t.Context(), tx, outbox.Item{Args: work{1}}, bad.item)
			})
			switch {
			case err == nil:
				t.Fatal("it was taken")
			case !strings.Contains(err.Error(), bad.want):
				t.Errorf("%q does not say %q", err, bad.want)
			case bad.is != nil && !errors.Is(err, bad.is):
				t.Errorf("%q is not %q", err, bad.is)
			}
		})
	}
	if n := b.rows(); n != 0 {
		t.Errorf("%d rows were written", n)
	}
}

func testRoundTrip(t *testing.T, b *bench) {
	ctx := context.WithValue(t.Context(), traceKey{}, "00-trace")
	id := outbox.NewID()
	b.must(b.db.Transaction(func(tx *gorm.DB) error {
		return errors.Join(
			outbox.Enqueue(ctx, tx, work{7}, outbox.ID(id), outbox.Queue("mail"), outbox.MaxAttempts(3), outbox.Header("a", `ü " \ '`), outbox.Via("x", "k")),
			outbox.Enqueue(ctx, tx, work{8}, outbox.Event("events", "work.done"), outbox.Header("traceparent", "mine")),
			outbox.Enqueue(ctx, tx, work{9}, outbox.Event("", "elsewhere"), outbox.Mandatory()),
		)
	}))
	before := time.Now()
	jobs := b.relay(sent)
	if len(jobs) != 3 {
		t.Fatalf("claimed %d jobs, want 3", len(jobs))
	}
	j := jobs[0]
	if j.ID != id || j.Kind != "test.work" || j.Queue != "mail" || j.Exchange != "x" || j.RoutingKey != "k" || !j.Mandatory || !j.Ledger ||
		string(j.Payload) != `{"n":7}` || j.Attempt != 1 || j.MaxAttempts != 3 || j.Resend != 0 || j.PublishAttempt != 0 {
		t.Errorf("claimed %+v", j)
	}
	if len(j.Headers) != 2 || j.Headers["a"] != `ü " \ '` || j.Headers["traceparent"] != "00-trace" {
		t.Errorf("headers %q", j.Headers)
	}
	if age := before.Sub(j.CreatedAt).Abs(); age > time.Minute {
		t.Errorf("created %v away from now", age)
	}
	if e := jobs[1]; e.Ledger || e.Queue != "" || e.Mandatory || e.Exchange != "events" || e.RoutingKey != "work.done" || e.Headers["traceparent"] != "mine" {
		t.Errorf("event claimed as %+v", e)
	}
	if e := jobs[2]; e.Ledger || !e.Mandatory || e.Exchange != "" || e.RoutingKey != "elsewhere" {
		t.Errorf("mandatory event claimed as %+v", e)
	}
	if e := b.get(jobs[1].ID); e.State != ackbox.Sent || e.FinishedAt == nil || e.SentAt == nil {
		t.Errorf("a sent event is %s, sent at %v, finished at %v", e.State, e.SentAt, e.FinishedAt)
	}
	if e := b.get(id); e.State != ackbox.Sent || e.FinishedAt != nil || e.SentAt == nil {
		t.Errorf("a sent job is %s, sent at %v, finished at %v", e.State, e.SentAt, e.FinishedAt)
	}
}

func testBatch(t *testing.T, b *bench) {
	const n = 777 // several statements of different sizes
	items := make([]outbox.Item, n)
	for i := range items {
		items[i] = outbox.Item{Args: work{i}}
	}
	b.must(b.db.Transaction(func(tx *gorm.DB) error { return outbox.EnqueueAll(t.Context(), tx, items...) }))
	for i, job := range b.relay(sent) {
		if want := fmt.Sprintf(`{"n":%d}`, i); string(job.Payload) != want {
			t.Fatalf("job %d is %s, want %s", i, job.Payload, want)
		}
	}
	if counts, err := b.store.Counts(t.Context()); err != nil || counts[ackbox.Sent] != n {
		t.Errorf("%v %v, want %d sent", counts, err, n)
	}
	b.must(b.db.Transaction(func(tx *gorm.DB) error { return outbox.EnqueueAll(t.Context(), tx) }))
}

func testDelay(t *testing.T, b *bench) {
	later := b.enqueue(outbox.Delay(time.Hour))
	at := b.enqueue(outbox.At(time.Now().Add(time.Hour)))
	past := b.enqueue(outbox.At(time.Now().Add(-time.Hour)))
	if jobs := b.relay(sent); len(jobs) != 1 || jobs[0].ID != past {
		t.Errorf("claimed %d jobs, want only the one that is due", len(jobs))
	}
	for _, id := range []string{later, at} {
		if due := time.Until(b.get(id).DueAt); due < 59*time.Minute || due > 61*time.Minute {
			t.Errorf("due in %v, want 1h", due)
		}
		b.shift(id, "due_at", time.Hour+time.Minute)
	}
	if jobs := b.relay(sent); len(jobs) != 2 {
		t.Errorf("claimed %d jobs when their time had come, want 2", len(jobs))
	}
}

func testWake(t *testing.T, b *bench) {
	woken := func() bool {
		select {
		case <-b.store.Wake():
			return true
		default:
			return false
		}
	}
	b.enqueue()
	if !woken() {
		t.Error("a due job did not wake the dispatcher")
	}
	b.enqueue(outbox.Delay(time.Hour))
	if woken() {
		t.Error("a job that is due later woke the dispatcher")
	}
	b.must(b.store.Transaction(t.Context(), func(*gorm.DB) error { return nil }))
	if !woken() {
		t.Error("the commit of Store.Transaction did not wake the dispatcher")
	}
	if err := b.store.Transaction(t.Context(), func(*gorm.DB) error { return errRollback }); !errors.Is(err, errRollback) || woken() {
		t.Errorf("a rollback: %v, or it woke the dispatcher", err)
	}
}
