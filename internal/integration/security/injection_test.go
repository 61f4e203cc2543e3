package security_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

// injections are texts that would do harm, or would change, if they ever became
// part of a statement: of SQL, of GORM's placeholders, of the tokens that our
// statements are built with, of an array's or of JSON's text form.
var injections = []string{
	`'; DROP TABLE canary; --`, `"; DROP TABLE canary; --`, `$$; DROP TABLE canary; $$`, `') ; DELETE FROM canary; /*`,
	`$1`, `$1::text || $2`, `?`, `??`, `@name`, `:name`, `{now}`, `{table}`, `{unfinished}`, `{id ?}`, `{in ids}`, `{`, `}}`,
	`\`, `\'; DROP TABLE canary; --`, `E'\047'`, `a\nb`, `%s %d %!`, `(NULL)`, `{NULL}`, `","`, `}','{`, `\u0000`, `"\u0000"`, `${x}`,
	"line\nbreak\r\t", "\x01\x1b[31m", "ünï🦊\u2028\u202e", "0x27,", `{"id": "x"}`, `[]`, `'`, `''`, `"`, "`",
}

// unstorable are texts that no database column can hold.
var unstorable = []string{"a\x00b", "\x00", "\xff", "'\xc0\xa7; DROP TABLE canary; --", "\xed\xa0\x80"}

type text struct{ Text string }

// Kind implements ackbox.Args.
func (text) Kind() string { return "text" }

// named is Args of a kind that the caller chooses.
type named struct{ kind string }

// Kind implements ackbox.Args.
func (n named) Kind() string { return n.kind }

// target is a database with a table that must survive, and a Store in it.
type target struct {
	*testing.T
	ctx   context.Context
	db    *gorm.DB
	store *outbox.Store
}

func newTarget(t *testing.T, dialector gorm.Dialector, connections int) *target {
	t.Helper()
	db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard})
	must(t, "open the database", err)
	pool, err := db.DB()
	must(t, "find the pool", err)
	pool.SetMaxOpenConns(connections)
	t.Cleanup(func() { _ = pool.Close() })
	must(t, "make the canary", db.Exec("CREATE TABLE canary (id int)").Error)
	must(t, "feed the canary", db.Exec("INSERT INTO canary VALUES (1)").Error)
	store, err := outbox.NewStore(db, outbox.Config{})
	must(t, "NewStore", err)
	must(t, "Migrate", store.Migrate(patient(t)))
	return &target{T: t, ctx: patient(t), db: db, store: store}
}

func (g *target) canaryLives() {
	g.Helper()
	var n int
	must(g.T, "look at the canary", g.db.Raw("SELECT count(*) FROM canary").Scan(&n).Error)
	if n != 1 {
		g.Fatalf("the canary has %d rows", n)
	}
}

// enqueue writes one job, as a caller who takes its parts from strangers does.
func (g *target) enqueue(s string) (string, error) {
	id := outbox.NewID()
	return id, g.db.Transaction(func(tx *gorm.DB) error {
		return outbox.Enqueue(g.ctx, tx, text{s}, outbox.ID(id), outbox.Header(s, s), outbox.Header("plain", s), outbox.Via(s, s))
	})
}

// wantSame reports a job that has changed on its way.
func (g *target) wantSame(where, s string, job ackbox.Job) {
	g.Helper()
	var args text
	if err := json.Unmarshal(job.Payload, &args); err != nil || args.Text != s {
		g.Errorf("%s: payload %q has become %q, %v", where, s, args.Text, err)
	}
	if want := map[string]string{s: s, "plain": s}; !maps.Equal(job.Headers, want) {
		g.Errorf("%s: headers %q have become %q", where, want, job.Headers)
	}
	if job.Exchange != s || job.RoutingKey != s {
		g.Errorf("%s: exchange and key %q have become %q and %q", where, s, job.Exchange, job.RoutingKey)
	}
}

// live takes one job through everything that a Store does with data.
func (g *target) live(s string) {
	g.Helper()
	id, err := g.enqueue(s)
	must(g.T, "Enqueue", err)
	entry, err := g.store.Get(g.ctx, id)
	must(g.T, "Get", err)
	g.wantSame("Get", s, entry.Job)

	// Refused by the broker, in its own words.
	g.relay(s, func(job ackbox.Job) core.Transition {
		return core.Transition{ID: job.ID, Attempt: job.Attempt, To: ackbox.Nacked, Error: s}
	})
	_, err = g.store.Rearm(g.ctx, entry.Queue, 10)
	must(g.T, "Rearm", err)
	g.relay(s, func(job ackbox.Job) core.Transition {
		return core.Transition{ID: job.ID, Attempt: job.Attempt, To: ackbox.Sent}
	})
	// Given up by the handler's transaction, requeued, given up by the worker.
	ledger, err := g.store.Identity(g.ctx)
	must(g.T, "Identity", err)
	run := ackbox.Run{Job: ackbox.Job{ID: id, Attempt: 1, Ledger: ledger}, Cause: errors.New(s)}
	must(g.T, "Complete", g.db.Transaction(func(tx *gorm.DB) error {
		return outbox.Complete(ackbox.WithRun(g.ctx, run), tx)
	}))
	operator := outbox.Because(outbox.By(g.ctx, s), s)
	n, err := g.store.Requeue(operator, id)
	if err != nil || n != 1 {
		g.Fatalf("Requeue: %d, %v", n, err)
	}
	verdicts, err := g.store.Finish(g.ctx, []core.Transition{{ID: id, Attempt: 2, To: ackbox.Dead, Error: s}})
	if err != nil || verdicts[0] != core.Recorded {
		g.Fatalf("Finish: %v, %v", verdicts, err)
	}
	if entry, err = g.store.Get(g.ctx, id); err != nil || entry.LastError != s || len(entry.History) != 4 {
		g.Fatalf("%q: last error %q, %d errors, %v", s, entry.LastError, len(entry.History), err)
	}
	for _, failure := range entry.History {
		if failure.Error != s {
			g.Errorf("error %q has become %q", s, failure.Error)
		}
	}
	g.operate(operator, s)
	g.wantSame("the dead row", s, entry.Job)
	g.ask(s, s)
}

// operate does what operators do, in the name of s.
func (g *target) operate(ctx context.Context, s string) {
	g.Helper()
	list, _, err := g.store.Operations(ctx, "", 1)
	if err != nil || len(list) != 1 || list[0].Reason != s || list[0].By == "" {
		g.Errorf("recorded by %q: %+v, %v", s, list, err)
	}
	f := outbox.Filter{Queue: s, Kind: s, Key: s, Error: s}
	if r, err := g.store.Rehearse(ctx, outbox.ActionRequeue, f); err != nil || r.Count.N > 0 {
		g.Errorf("rehearsed with %q: %+v, %v", s, r, err)
	}
	f.Key = ""
	op, err := g.store.StartOperation(ctx, outbox.ActionRequeue, f, s)
	if err != nil || op.Reason != s || *op.Filter != f {
		g.Errorf("began with %q: %+v, %v", s, op, err)
	}
	for more := true; more && err == nil; {
		if _, more, err = g.store.CarryOn(ctx, 10); err != nil {
			g.Errorf("carried on with %q: %v", s, err)
		}
	}
	if err := g.store.Pause(ctx, s, s); err == nil {
		if paused, err := g.store.Pauses(ctx); err != nil || len(paused) != 1 || paused[0].Queue != s || paused[0].Reason != s {
			g.Errorf("paused as %q: %+v, %v", s, paused, err)
		}
		must(g.T, "resume", g.store.Resume(ctx, s))
	}
}

// ask uses s wherever data only selects rows, or is refused.
func (g *target) ask(s, id string) {
	g.Helper()
	for name, filter := range map[string]outbox.Filter{"Queue": {Queue: s}, "Kind": {Kind: s}} {
		if entries, err := g.store.List(g.ctx, filter, "", 100); len(entries.Entries) > 0 {
			g.Errorf("List by %s %q found %d rows, %v", name, s, len(entries.Entries), err)
		}
	}
	if _, err := g.store.List(g.ctx, outbox.Filter{State: ackbox.State(s)}, "", 100); err == nil || !strings.Contains(err.Error(), "Filter.State") {
		g.Errorf("List by state %q: %v", s, err)
	}
	if _, err := g.store.Get(g.ctx, id); !errors.Is(err, outbox.ErrNotFound) {
		g.Errorf("Get %q: %v", id, err)
	}
	for what, call := range map[string]func(context.Context, ...string) (int, error){"Requeue": g.store.Requeue, "Cancel": g.store.Cancel} {
		if n, err := call(g.ctx, outbox.NewID(), id); n != 0 || err == nil || !strings.Contains(err.Error(), "not a UUID") {
			g.Errorf("%s %q: %d, %v", what, id, n, err)
		}
	}
	for _, to := range []ackbox.State{ackbox.Done, ackbox.Dead, ackbox.Pending} {
		verdicts, err := g.store.Finish(g.ctx, []core.Transition{{ID: id, Attempt: 1, To: to}})
		if err != nil || verdicts[0] != core.Missing {
			g.Errorf("Finish %q: %v, %v", id, verdicts, err)
		}
	}
	if _, err := g.store.Finish(g.ctx, []core.Transition{{ID: outbox.NewID(), To: ackbox.State(s)}}); err == nil {
		g.Errorf("Finish to state %q: no error", s)
	}
	me := core.Instance{ID: outbox.NewID(), Role: core.RoleWorker, Host: s}
	_, err := g.store.Beat(g.ctx, me)
	must(g.T, "Beat", err)
	if standings, err := g.store.Start(g.ctx, me.ID, []ackbox.Job{{ID: id, Attempt: 1}}); err != nil || standings[0].Verdict != core.Missing {
		g.Errorf("Start %q: %v, %v", id, standings, err)
	}
	if verdicts, err := g.store.Hold(g.ctx, me.ID, []core.Holding{{ID: id, Attempt: 1}}); err != nil || verdicts[0] != core.Missing {
		g.Errorf("Hold %q: %v, %v", id, verdicts, err)
	}
	must(g.T, "Reconcile", g.store.Reconcile(g.ctx, me.ID, []string{id, outbox.NewID()}))
	if jobs, err := g.store.Refused(g.ctx, me.ID, []string{s}, 10); len(jobs) != 0 {
		g.Errorf("Refused of queue %q: %v, %v", s, jobs, err)
	}
	must(g.T, "Leave", g.store.Leave(g.ctx, me.ID))
	if n, err := g.store.Resend(g.ctx, s, time.Now(), 0, 10); n != 0 {
		g.Errorf("Resend queue %q: %d, %v", s, n, err)
	}
	for what, opts := range map[string][]outbox.Option{"queue": {outbox.Queue(s)}, "ID": {outbox.ID(id)}} {
		err := g.db.Transaction(func(tx *gorm.DB) error { return outbox.Enqueue(g.ctx, tx, text{}, opts...) })
		if err == nil || !strings.Contains(err.Error(), what) {
			g.Errorf("Enqueue with %s %q: %v", what, s, err)
		}
	}
	err = g.db.Transaction(func(tx *gorm.DB) error { return outbox.Enqueue(g.ctx, tx, named{s}) })
	if err == nil || !strings.Contains(err.Error(), "Kind()") {
		g.Errorf("Enqueue kind %q: %v", s, err)
	}
}

// relay publishes the one job that is due.
func (g *target) relay(s string, answer func(ackbox.Job) core.Transition) {
	g.Helper()
	n, err := g.store.Relay(g.ctx, core.Claim{Limit: 10}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		for _, job := range jobs {
			g.wantSame("Relay", s, job)
		}
		return []core.Transition{answer(jobs[0])}
	})
	if err != nil || n != 1 {
		g.Fatalf("Relay: %d, %v", n, err)
	}
}

// attack tries every text, and every id that has one in it.
func (g *target) attack() {
	g.Helper()
	for _, s := range injections {
		g.live(s)
		g.ask(s, outbox.NewID()+s)
		g.canaryLives()
	}
	for _, s := range unstorable {
		if _, err := g.enqueue(s); err == nil || !strings.Contains(err.Error(), "UTF-8") {
			g.Errorf("Enqueue %q: %v", s, err)
		}
		g.ask(s, s)
		g.canaryLives()
	}
	// What fills a row's texts with what they cannot hold is made to fit.
	id, err := g.enqueue("fits")
	must(g.T, "Enqueue", err)
	_, err = g.store.Finish(g.ctx, []core.Transition{{ID: id, Attempt: 1, To: ackbox.Dead, Error: strings.Join(unstorable, "")}})
	must(g.T, "Finish", err)
	if entry, err := g.store.Get(g.ctx, id); err != nil || !strings.Contains(entry.LastError, "DROP TABLE canary") || entry.State != ackbox.Dead {
		g.Errorf("last error %q, state %s, %v", entry.LastError, entry.State, err)
	}
}

// texts remembers the different statements that a pool runs.
type texts struct {
	mu   sync.Mutex
	seen map[string]bool
}

// TraceQueryStart implements pgx.QueryTracer.
func (r *texts) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = make(map[string]bool)
	}
	r.seen[data.SQL] = true
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (r *texts) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// take returns the statements since the last call.
func (r *texts) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := slices.Sorted(maps.Keys(r.seen))
	r.seen = nil
	return seen
}

// Data reaches PostgreSQL as parameters and never as a part of a statement:
// whatever it is, the texts of the statements are those of harmless data, and
// none has a token left in it that data could have put there.
func TestInjection(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]pgx.QueryExecMode{
		"Prepared": pgx.QueryExecModeCacheStatement,
		// As behind PgBouncer: here the driver itself puts data into the text.
		"SimpleProtocol": pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, err := pgx.ParseConfig(testenv.DatabaseURL(t))
			must(t, "parse the URL", err)
			var run texts
			config.Tracer, config.DefaultQueryExecMode = &run, mode
			g := newTarget(t, postgres.New(postgres.Config{Conn: stdlib.OpenDB(*config)}), 5)
			run.take()
			g.live("harm less") // no kind, no queue, no id, and else nothing bad
			g.ask("harm less", "harm less")
			g.canaryLives()
			harmless := run.take()
			for _, sql := range harmless {
				if strings.ContainsAny(sql, "{}?") {
					t.Errorf("a token is left in %s", sql)
				}
			}
			g.attack()
			for _, sql := range run.take() {
				if !slices.Contains(harmless, sql) {
					t.Errorf("this statement came of hostile data: %s", sql)
				}
			}
		})
	}
}

func TestInjectionSQLite(t *testing.T) {
	t.Parallel()
	newTarget(t, sqlite.Open(filepath.Join(t.TempDir(), "jobs.db")+"?_pragma=synchronous(OFF)"), 1).attack()
}

// With this setting a backslash escapes a quote, and what a driver quotes by
// itself is not safe. The driver must refuse, not guess.
func TestInjectionNonstandardStrings(t *testing.T) {
	t.Parallel()
	dsn := testenv.DatabaseURL(t) + "&standard_conforming_strings=off"
	for _, simple := range []bool{false, true} {
		db, err := gorm.Open(postgres.New(postgres.Config{DSN: dsn, PreferSimpleProtocol: simple}), &gorm.Config{Logger: logger.Discard})
		must(t, "open", err)
		pool, err := db.DB()
		must(t, "find the pool", err)
		t.Cleanup(func() { _ = pool.Close() })
		store, err := outbox.NewStore(db, outbox.Config{})
		must(t, "NewStore", err)
		if !simple {
			must(t, "Migrate", store.Migrate(patient(t)))
		}
		id := outbox.NewID()
		err = db.Transaction(func(tx *gorm.DB) error {
			return outbox.Enqueue(patient(t), tx, text{}, outbox.ID(id), outbox.Header("h", `\'; DROP TABLE canary; --`))
		})
		if simple {
			wantError(t, err, "standard_conforming_strings")
			continue
		}
		must(t, "Enqueue", err)
		if entry, err := store.Get(patient(t), id); err != nil || entry.Headers["h"] != `\'; DROP TABLE canary; --` {
			t.Errorf("header %q, %v", entry.Headers["h"], err)
		}
	}
}
