package security_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

// What SECURITY.md tells administrators to grant. It must say exactly this.
var (
	grants = []string{
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ackbox_jobs TO app;",
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ackbox_jobs_instances TO app;",
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ackbox_jobs_inbox TO app;",
		"GRANT SELECT, INSERT, DELETE ON ackbox_jobs_queues TO app;",
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ackbox_jobs_operations TO app;",
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ackbox_jobs_stats TO app;",
		"GRANT SELECT ON ackbox_jobs_migrations TO app;",
		"GRANT INSERT ON ackbox_jobs TO enqueuer;",
		"GRANT SELECT ON ackbox_jobs_migrations TO enqueuer;",
		"GRANT SELECT (id, kind, key, queue, state, attempt, attempts_before, starts, started_at, holder, due_at, created_at, sent_at, finished_at, last_error, history) ON ackbox_jobs TO oncall;",
		"GRANT SELECT ON ackbox_jobs_instances TO oncall;",
		"GRANT SELECT ON ackbox_jobs_inbox TO oncall;",
		"GRANT SELECT ON ackbox_jobs_queues, ackbox_jobs_operations, ackbox_jobs_stats TO oncall;",
	}
	permissions = []string{`^default(\.retry\.[0-9]+|\.dead)?$`, `^(amq\.default|default(\.retry\.[0-9]+|\.dead)?)$`, `^default(\.retry\.[0-9]+|\.dead)?$`}
)

func TestSecurityMdSaysWhatIsTested(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../../SECURITY.md")
	must(t, "read SECURITY.md", err)
	for _, line := range append(grants, "'"+strings.Join(permissions, "' '")+"'") {
		if !strings.Contains(string(doc), line) {
			t.Errorf("SECURITY.md does not say: %s", line)
		}
	}
}

// role makes a role that may log in to the test's database, and returns its URL.
func role(t *testing.T, admin *gorm.DB, role string) string {
	t.Helper()
	u, err := url.Parse(testenv.DatabaseURL(t))
	must(t, "parse the URL", err)
	// Roles belong to the whole server: the grants' names stand for this test's.
	name := role + "_" + strings.TrimPrefix(u.Path, "/")
	must(t, "CREATE ROLE", admin.Exec(fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'x'", name)).Error)
	t.Cleanup(func() {
		must(t, "DROP ROLE", admin.Exec(fmt.Sprintf("DROP OWNED BY %s; DROP ROLE %s", name, name)).Error)
	})
	u.User = url.UserPassword(name, "x")
	return u.String()
}

// as opens the test's database as one of the roles of grants.
func as(t *testing.T, admin *gorm.DB, who string) (*gorm.DB, *outbox.Store) {
	t.Helper()
	dsn := role(t, admin, who)
	u, err := url.Parse(dsn)
	must(t, "parse the URL", err)
	name := u.User.Username()
	for _, grant := range grants {
		if strings.HasSuffix(grant, " "+who+";") {
			must(t, grant, admin.Exec(strings.Replace(grant, " "+who+";", " "+name, 1)).Error)
		}
	}
	db := open(t, dsn)
	store, err := outbox.NewStore(db, outbox.Config{})
	must(t, "NewStore", err)
	return db, store
}

// The grants suffice for what each role does, and for no more.
func TestDatabasePrivileges(t *testing.T) {
	t.Parallel()
	ctx := patient(t)
	admin := testenv.Postgres(t)
	owner, err := outbox.NewStore(admin, outbox.Config{})
	must(t, "NewStore", err)
	must(t, "Migrate", owner.Migrate(ctx))

	enqueuerDB, enqueuer := as(t, admin, "enqueuer")
	_, app := as(t, admin, "app")
	oncall, _ := as(t, admin, "oncall")
	id := outbox.NewID()
	must(t, "the enqueuer enqueues", enqueuer.Enqueue(ctx, enqueuerDB, text{"secret"}, outbox.ID(id), outbox.OwnTransaction()))
	_, err = enqueuer.Get(ctx, id)
	wantError(t, err, "permission denied")
	_, err = enqueuer.Cancel(ctx, id)
	wantError(t, err, "permission denied")

	var state string
	must(t, "on call reads", oncall.Raw("SELECT state FROM ackbox_jobs WHERE id = ?", id).Scan(&state).Error)
	wantError(t, oncall.Raw("SELECT payload FROM ackbox_jobs").Scan(&state).Error, "permission denied")
	wantError(t, oncall.Exec("UPDATE ackbox_jobs SET state = 'done'").Error, "permission denied")

	attempt := 1 // an operator's requeue raises it
	finish := func(to ackbox.State) {
		t.Helper()
		verdicts, err := app.Finish(ctx, []core.Transition{{ID: id, Attempt: attempt, To: to, Error: "e"}})
		if err != nil || verdicts[0] != core.Recorded {
			t.Errorf("Finish %s: %v, %v", to, verdicts, err)
		}
	}
	n, err := app.Relay(ctx, core.Claim{Limit: 10}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		return []core.Transition{{ID: jobs[0].ID, Attempt: 1, To: ackbox.Sent}}
	})
	if n != 1 || err != nil {
		t.Errorf("Relay: %d, %v", n, err)
	}
	// What README.md gives people on call.
	for _, query := range readmeSelects(t) {
		must(t, "on call: "+query, oncall.Exec(query).Error)
	}
	me := core.Instance{ID: outbox.NewID(), Role: core.RoleWorker, Queues: []string{"default"}}
	_, err = app.Beat(ctx, me)
	must(t, "Beat", err)
	standings, err := app.Start(ctx, me.ID, []ackbox.Job{{ID: id, Attempt: 1}})
	if err != nil || standings[0].Verdict != core.Started {
		t.Errorf("Start: %v, %v", standings, err)
	}
	verdicts, err := app.Hold(ctx, me.ID, []core.Holding{{ID: id, Attempt: 1, Running: time.Second}})
	if err != nil || verdicts[0] != core.Recorded {
		t.Errorf("Hold: %v, %v", verdicts, err)
	}
	must(t, "Reconcile", app.Reconcile(ctx, me.ID, []string{id}))
	_, err = app.TakeBack(ctx, 1)
	must(t, "TakeBack", err)
	_, err = app.Refused(ctx, me.ID, me.Queues, 1)
	must(t, "Refused", err)
	_, err = app.Unattended(ctx)
	must(t, "Unattended", err)
	must(t, "WriteStats", app.WriteStats(ctx, true))
	_, err = app.PurgeStats(ctx, time.Hour, time.Hour, 10)
	must(t, "PurgeStats", err)
	_, err = app.Instances(ctx)
	must(t, "Instances", err)
	_, err = app.Stats(ctx, outbox.StatsQuery{From: time.Now().Add(-time.Hour), To: time.Now(), Step: time.Minute})
	must(t, "Stats", err)
	must(t, "Leave", app.Leave(ctx, me.ID))
	finish(ackbox.Dead)
	if n, err := app.Requeue(ctx, id); n != 1 || err != nil {
		t.Errorf("Requeue: %d, %v", n, err)
	}
	must(t, "Pause", app.Pause(ctx, "mail", "because"))
	must(t, "Resume", app.Resume(ctx, "mail"))
	op, err := app.StartOperation(ctx, outbox.ActionCancel, outbox.Filter{Queue: "mail"}, "")
	must(t, "StartOperation", err)
	_, _, err = app.CarryOn(ctx, 1)
	must(t, "CarryOn", err)
	must(t, "StopOperation", app.StopOperation(ctx, op.ID))
	_, err = app.PurgeOperations(ctx, time.Hour, 1)
	must(t, "PurgeOperations", err)
	again, err := app.Get(ctx, id)
	must(t, "Get", err)
	attempt = again.Attempt
	finish(ackbox.Done)
	_, err = app.Rearm(ctx, "default", 1)
	must(t, "Rearm", err)
	_, err = app.Ages(ctx)
	must(t, "Ages", err)
	_, err = app.Resend(ctx, "default", time.Now(), 0, 1)
	must(t, "Resend", err)
	if n, err := app.Purge(ctx, "default", 0, 10); n != 1 || err != nil {
		t.Errorf("Purge: %d, %v", n, err)
	}
	// Messages without a row: again in a later round, a copy, and away with it.
	for round, want := range []error{nil, nil, ackbox.ErrSuperseded} {
		run := ackbox.Run{Job: ackbox.Job{ID: "m", Queue: "default", AttemptsBefore: min(round, 1)}}
		if round == 0 {
			run.Cause = errors.New("given up")
		}
		err := app.Transaction(ctx, func(tx *gorm.DB) error { return app.Complete(ackbox.WithRun(ctx, run), tx) })
		if !errors.Is(err, want) {
			t.Errorf("Complete, round %d: %v, want %v", round, err, want)
		}
	}
	var queue string
	must(t, "on call reads the inbox", oncall.Raw("SELECT queue FROM ackbox_jobs_inbox WHERE id = 'm' AND NOT dead").Scan(&queue).Error)
	wantError(t, oncall.Exec("DELETE FROM ackbox_jobs_inbox").Error, "permission denied")
	wantError(t, enqueuerDB.Exec("SELECT 1 FROM ackbox_jobs_inbox").Error, "permission denied")
	if n, err := app.PurgeInbox(ctx, 0, 10); queue != "default" || n != 1 || err != nil {
		t.Errorf("PurgeInbox: %d, %v; read of queue %q", n, err, queue)
	}
	// What README.md has every process do at its start.
	must(t, "the app's Migrate", app.Migrate(ctx))
	must(t, "the enqueuer's Migrate", enqueuer.Migrate(ctx))
}

// readmeSelects are the SELECTs of README.md.
func readmeSelects(t *testing.T) (selects []string) {
	t.Helper()
	text, err := os.ReadFile("../../../README.md")
	must(t, "read README.md", err)
	for i, part := range strings.Split(string(text), "```sql\n") {
		if query, _, closed := strings.Cut(part, "```"); i > 0 && closed {
			selects = append(selects, query)
		}
	}
	if len(selects) == 0 {
		t.Error("README.md has no SELECT")
	}
	return selects
}

// Without the right to create tables Migrate says where, and what can be done.
func TestMigrateWithoutPrivileges(t *testing.T) {
	t.Parallel()
	ctx := patient(t)
	admin := testenv.Postgres(t)
	nobody := role(t, admin, "nobody")
	for _, schema := range []string{"public", "nowhere"} {
		store, err := outbox.NewStore(open(t, nobody), outbox.Config{Schema: schema})
		must(t, "NewStore", err)
		err = store.Migrate(ctx)
		wantError(t, err, "permission denied")
		wantError(t, err, fmt.Sprintf("schema %q", schema))
		wantError(t, err, "Config.Schema")
	}
	// A schema that is there already is not made again, which would take another
	// right.
	must(t, "CREATE SCHEMA", admin.Exec("CREATE SCHEMA shop").Error)
	u, err := url.Parse(nobody)
	must(t, "parse the URL", err)
	must(t, "GRANT", admin.Exec("GRANT CREATE, USAGE ON SCHEMA shop TO "+u.User.Username()).Error)
	store, err := outbox.NewStore(open(t, nobody), outbox.Config{Schema: "shop"})
	must(t, "NewStore", err)
	must(t, "Migrate", store.Migrate(ctx))
}

// brokerPrivileges: the permissions suffice for one queue and all that Ackbox
// does with it, and not for another queue.
func (s *secure) brokerPrivileges(t *testing.T) {
	ctx := patient(t)
	for _, args := range [][]string{
		{"add_vhost", "least"}, {"add_user", "least", "least"}, append([]string{"set_permissions", "-p", "least", "least"}, permissions...),
	} {
		_, err := s.broker.Ctl(ctx, args...)
		must(t, args[0], err)
	}
	u, err := url.Parse(s.broker.URL())
	must(t, "parse the URL", err)
	u.User, u.Path = url.UserPassword("least", "least"), "/least"
	var out log
	mq, err := rabbitmq.New(rabbitmq.Config{URL: u.String(), RetryLadder: []time.Duration{50 * time.Millisecond}, Logger: out.logger()})
	must(t, "New", err)
	t.Cleanup(func() { _ = mq.Close() }) // after what uses it has ended
	must(t, "Ready", mq.Ready(ctx))
	job := ackbox.Job{ID: outbox.NewID(), Kind: "kind", Queue: "default", RoutingKey: "default", Mandatory: true, Payload: []byte("{}")}
	if o := mq.Publish(ctx, []ackbox.Job{job})[0]; o.Status != core.Acked {
		t.Fatalf("published: %v %s", o.Status, o.Reason)
	}
	deliveries := make(chan core.Delivery, 10)
	background(t, func(ctx context.Context) error {
		return mq.Consume(ctx, "default", 1, func(d core.Delivery) { deliveries <- d })
	})
	d := <-deliveries
	must(t, "Retry", mq.Retry(ctx, d, 0))
	must(t, "Ack", d.Receipt.Ack())
	d = <-deliveries
	must(t, "Bury", mq.Bury(ctx, d, "cause"))
	must(t, "Ack", d.Receipt.Ack())
	if n, err := mq.RequeueDead(ctx, "default", ackbox.DeadFilter{}, 1); n != 1 || err != nil {
		t.Errorf("RequeueDead: %d, %v", n, err)
	}
	must(t, "Ack", (<-deliveries).Receipt.Ack())
	_, err = mq.Waiting(ctx, "default")
	must(t, "Waiting", err)

	// Where everything is declared by others nothing need be configured.
	_, err = s.broker.Ctl(ctx, "set_permissions", "-p", "least", "least", "^$", permissions[1], permissions[2])
	must(t, "set_permissions", err)
	passive, err := rabbitmq.New(rabbitmq.Config{URL: u.String(), Passive: true, Logger: out.logger()})
	must(t, "New", err)
	t.Cleanup(func() { _ = passive.Close() })
	must(t, "Ready, passive", passive.Ready(ctx))

	other, err := rabbitmq.New(rabbitmq.Config{URL: u.String(), Logger: out.logger(), Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: "other"}}}})
	must(t, "New", err)
	t.Cleanup(func() { _ = other.Close() })
	background(t, func(ctx context.Context) error { _ = other.Ready(ctx); return nil })
	eventually(t, "another queue is refused", func() bool { return strings.Contains(out.String(), "ACCESS_REFUSED") })
}
