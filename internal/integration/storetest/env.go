package storetest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// env is what one test has. A Store is made by its first use.
type env struct {
	*testing.T
	ctx  context.Context //nolint:containedctx // the test's own, which ends with env
	db   *gorm.DB
	base outbox.Config
	made *outbox.Store
	ids  int // how many newID has made
	// undated makes newID's ids those of the default partition.
	undated bool
}

// note is the Args of the suite's jobs.
type note struct {
	Text string `json:"text"`
}

// Kind implements ackbox.Args.
func (note) Kind() string { return "note" }

// order is the suite's business data.
type order struct {
	ID   uint
	Note string
}

func (e *env) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// config is base with two queues, and with patience: a busy machine is not what
// is tested.
func (e *env) config() outbox.Config {
	cfg := e.base
	cfg.StatementTimeout, cfg.WireTimeout = time.Minute, time.Minute
	cfg.Queues = []string{"default", "mail"}
	return cfg
}

// store returns the test's Store, migrated, beside a table of orders.
func (e *env) store() *outbox.Store {
	e.Helper()
	if e.made == nil {
		e.made = e.newStore(e.config())
	}
	return e.made
}

func (e *env) newStore(cfg outbox.Config) *outbox.Store {
	e.Helper()
	s, err := outbox.NewStore(e.db, cfg)
	e.must(err)
	e.must(s.Migrate(e.ctx))
	e.makeOrders()
	e.made = s
	return s
}

// makeOrders is AutoMigrate in a single statement: it runs in every test.
func (e *env) makeOrders() {
	e.Helper()
	id := "integer PRIMARY KEY AUTOINCREMENT"
	if e.postgres() {
		id = "bigserial PRIMARY KEY"
	}
	e.exec("CREATE TABLE IF NOT EXISTS orders (id " + id + ", note text)")
}

func (e *env) postgres() bool { return e.db.Name() == "postgres" }

// table is the quoted name of the jobs table.
func (e *env) table() string {
	name := e.base.Table
	if name == "" {
		name = outbox.DefaultTable
	}
	if e.base.Schema != "" {
		return `"` + e.base.Schema + `"."` + name + `"`
	}
	return `"` + name + `"`
}

// at is an SQL expression for the time d from now, by the database's clock.
func (e *env) at(d time.Duration) string {
	if e.postgres() {
		return fmt.Sprintf("clock_timestamp() + interval '%d milliseconds'", d.Milliseconds())
	}
	return fmt.Sprintf("strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '%.3f seconds')", d.Seconds())
}

func (e *env) exec(query string) {
	e.Helper()
	e.must(e.db.WithContext(e.ctx).Exec(query).Error)
}

// identity is that of the Store's ledger.
func (e *env) identity() string {
	e.Helper()
	id, err := e.store().Identity(e.ctx)
	e.must(err)
	return id
}

// set changes a job's row behind the Store's back.
func (e *env) set(id, assignments string) {
	e.Helper()
	e.exec("UPDATE " + e.table() + " SET " + assignments + " WHERE id = '" + id + "'")
}

// enqueue commits one job and returns its id.
func (e *env) enqueue(opts ...outbox.Option) string {
	e.Helper()
	e.store()
	id := e.newID()
	e.must(e.db.WithContext(e.ctx).Transaction(func(tx *gorm.DB) error {
		return outbox.Enqueue(e.ctx, tx, note{"hello"}, append(opts, outbox.ID(id))...)
	}))
	return id
}

// newID is an id of today or, where the table is partitioned, two of each day in
// turn: of each partition that Migrate makes and, at last, of the default one.
func (e *env) newID() string {
	id := outbox.NewID()
	if !e.base.Partitioned {
		return id
	}
	ms, err := strconv.ParseInt(strings.ReplaceAll(id[:13], "-", ""), 16, 64)
	e.must(err)
	const days = outbox.DefaultPartitionsAhead + 2
	ahead := e.ids / 2 % days
	if e.ids++; e.undated {
		ahead = days
	}
	ms += int64(ahead) * (24 * time.Hour).Milliseconds()
	return fmt.Sprintf("%08x-%04x%s", ms>>16, ms&0xffff, id[13:])
}

// enqueueAs commits one job and moves its row into a state.
func (e *env) enqueueAs(state ackbox.State, opts ...outbox.Option) string {
	e.Helper()
	id := e.enqueue(opts...)
	e.set(id, e.inState(state))
	return id
}

func (e *env) inState(state ackbox.State) string {
	now := e.at(0)
	s := "state = '" + string(state) + "'"
	switch state {
	case ackbox.Nacked:
		return s + ", due_at = " + e.at(time.Hour)
	case ackbox.Sent:
		return s + ", sent_at = " + now + ", seen_at = " + now
	case ackbox.Done:
		return s + ", sent_at = " + now + ", seen_at = " + now + ", finished_at = " + now
	case ackbox.Dead, ackbox.Cancelled:
		return s + ", finished_at = " + now
	default:
		return s
	}
}

func (e *env) get(id string) outbox.Entry {
	e.Helper()
	entry, err := e.store().Get(e.ctx, id)
	e.must(err)
	return entry
}

// wantState checks the states of several jobs.
func (e *env) wantState(want ackbox.State, ids ...string) {
	e.Helper()
	for _, id := range ids {
		if got := e.get(id).State; got != want {
			e.Errorf("job %s is %s, want %s", id, got, want)
		}
	}
}

// rows counts the rows of a table.
func (e *env) rows(table string) int64 {
	e.Helper()
	var n int64
	e.must(e.db.WithContext(e.ctx).Raw("SELECT count(*) FROM " + table).Scan(&n).Error)
	return n
}

func (e *env) wantRows(jobs, orders int64) {
	e.Helper()
	if got := e.rows(e.table()); got != jobs {
		e.Errorf("%d jobs are in the table, want %d", got, jobs)
	}
	if got := e.rows("orders"); got != orders {
		e.Errorf("%d orders are in the table, want %d", got, orders)
	}
}

// relay carries one batch and returns the claimed ids, in order.
func (e *env) relay(limit int, answer func(ackbox.Job) core.Transition) []string {
	e.Helper()
	var ids []string
	n, err := e.store().Relay(e.ctx, core.Claim{Limit: limit}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		out := make([]core.Transition, len(jobs))
		for i, job := range jobs {
			ids = append(ids, job.ID)
			out[i] = answer(job)
		}
		return out
	})
	e.must(err)
	if n != len(ids) {
		e.Errorf("Relay returned %d, publish got %d jobs", n, len(ids))
	}
	return ids
}

// acked answers as a broker does that takes everything.
func acked(job ackbox.Job) core.Transition {
	return core.Transition{ID: job.ID, Attempt: job.Attempt, To: ackbox.Sent}
}

// wantError checks that err mentions every one of the words.
func (e *env) wantError(err error, words ...string) {
	e.Helper()
	if err == nil {
		e.Errorf("no error, want one with %q", words)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			e.Errorf("error %q does not mention %q", err, word)
		}
	}
}
