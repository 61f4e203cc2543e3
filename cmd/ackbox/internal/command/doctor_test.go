package command_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

type found struct {
	Level string `json:"level"`
	About string `json:"about"`
	What  string `json:"what"`
	Do    string `json:"do"`
}

// find returns what doctor says of something, or fails the test.
func find(t *testing.T, list []found, level, text string) found {
	t.Helper()
	for _, f := range list {
		if f.Level == level && strings.Contains(f.What, text) {
			return f
		}
	}
	t.Errorf("nothing is %s of which it says %q: %+v", level, text, list)
	return found{}
}

func TestDoctorOnHealthyServers(t *testing.T) {
	t.Parallel()
	sh, _, store := newShell(t)
	brokerOf(t)
	for _, role := range []string{"dispatcher", core.RoleWorker, core.RoleSweeper} {
		beat(t, store, role)
	}
	list := decode[[]found](t, sh.must(0, "doctor", "--json"))
	for _, f := range list {
		if f.Level != "ok" && f.Level != "note" {
			t.Errorf("%+v", f)
		}
	}
	for _, text := range []string{
		"it is the primary", "survives a crash", "the tables have version", "has the rights", "all indexes are there",
		"autovacuum keeps up", "no old transaction", "it takes messages", "default: 0 messages wait",
	} {
		find(t, list, "ok", text)
	}
	find(t, list, "note", "consumer_timeout")
	contains(t, sh.must(0, "doctor"), "all is well")
}

func beat(t *testing.T, store *outbox.Store, role string) {
	t.Helper()
	if _, err := store.Beat(t.Context(), core.Instance{ID: outbox.NewID(), Role: role, Host: "here", PID: 7, Queues: []string{}}); err != nil {
		t.Fatal(err)
	}
}

// Doctor names each damage, and says what mends it.
func TestDoctorOnADamagedDatabase(t *testing.T) {
	t.Parallel()
	sh, db, _ := newShell(t)
	sh.env["AMQP_URL"] = ""
	long := time.Now().Add(-time.Hour)
	insert(t, db, "state, due_at", "pending", long)
	insert(t, db, "state, sent_at, seen_at", "sent", long, long)
	insert(t, db, "state, refused_at", "refused", long)
	insert(t, db, "state, sent_at, seen_at, holder, started_at, starts", "sent", long, long, outbox.NewID(), long, 12)
	exec(t, db, "DROP INDEX ackbox_jobs_sent")
	exec(t, db, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ackbox_jobs_key'::regclass")
	exec(t, db, "ALTER TABLE ackbox_jobs SET (autovacuum_enabled = false)")
	list := decode[[]found](t, sh.must(3, "doctor", "--json"))
	contains(t, find(t, list, "bad", "index ackbox_jobs_sent is missing").Do, "migrate sql", "CONCURRENTLY")
	contains(t, find(t, list, "bad", "index ackbox_jobs_key is not valid").Do, "REINDEX INDEX CONCURRENTLY public.ackbox_jobs_key")
	contains(t, find(t, list, "bad", "autovacuum may not clean ackbox_jobs").Do, "RESET (autovacuum_enabled)")
	find(t, list, "bad", "queue default: 1 job due for over a minute")
	find(t, list, "bad", "queue default: 1 job sent over a minute ago")
	contains(t, find(t, list, "bad", "1 job refused by the broker").Do, "run-now")
	find(t, list, "bad", "was begun 12 times")
	find(t, list, "note", "AMQP_URL is not set")
	contains(t, sh.must(3, "doctor"), "→ REINDEX INDEX CONCURRENTLY")

	exec(t, db, "ALTER DATABASE "+name(t)+" SET default_transaction_read_only = on")
	find(t, decode[[]found](t, sh.must(3, "doctor", "--json")), "bad", "transactions are read-only")
}

// name is the test database's.
func name(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(testenv.DatabaseURL(t))
	if err != nil {
		t.Fatal("the URL of the test's database does not parse")
	}
	return strings.TrimPrefix(u.Path, "/")
}

// A role that may only read is told what it lacks, and what is asked of it fails no more
// than it must.
func TestDoctorAsAnotherRole(t *testing.T) {
	t.Parallel()
	sh, db, _ := newShell(t)
	role := "reader_" + name(t)
	exec(t, db, "CREATE ROLE "+role+" LOGIN PASSWORD 'opensesame'")
	t.Cleanup(func() { db.Exec("DROP OWNED BY " + role + "; DROP ROLE " + role) })
	exec(t, db, "GRANT SELECT ON ackbox_jobs, ackbox_jobs_migrations, ackbox_jobs_instances, ackbox_jobs_stats TO "+role)
	u, err := url.Parse(sh.env["DATABASE_URL"])
	if err != nil {
		t.Fatal("the URL of the test's database does not parse")
	}
	u.User = url.UserPassword(role, "opensesame")
	sh.env["DATABASE_URL"], sh.env["AMQP_URL"] = u.String(), ""
	o := sh.run("doctor", "--json")
	if o.code != 3 {
		t.Errorf("exit code %d", o.code)
	}
	lacks(t, o.out+o.err, "opensesame")
	f := find(t, decode[[]found](t, o.out), "bad", "rights are missing: INSERT on ackbox_jobs")
	contains(t, f.Do, "GRANT INSERT, UPDATE, DELETE ON public.ackbox_jobs TO "+role, "ON public.ackbox_jobs_queues TO "+role)
	for _, table := range strings.Split(f.Do, "\n") {
		exec(t, db, table) // what it says can be run
	}
	find(t, decode[[]found](t, sh.run("doctor", "--json").out), "ok", "the role has the rights")
}

func TestDoctorWithoutTablesOrServers(t *testing.T) {
	t.Parallel()
	sh := &shell{t: t, env: map[string]string{"DATABASE_URL": testenv.DatabaseURL(t), "AMQP_URL": ""}}
	contains(t, find(t, decode[[]found](t, sh.must(3, "doctor", "--json")), "bad", "the jobs table is not there").Do, "ackbox migrate up")

	sh.env = map[string]string{"DATABASE_URL": "postgres://app:opensesame@127.0.0.1:1/shop", "AMQP_URL": "amqp://app:letmein99@127.0.0.1:1/"}
	o := sh.run("doctor", "--timeout", "500ms")
	if o.code != 3 {
		t.Errorf("exit code %d", o.code)
	}
	contains(t, o.out, "PostgreSQL", "it cannot be asked", "RabbitMQ", "does not let us in")
	lacks(t, o.out+o.err, "opensesame", "letmein99")
}

func TestDoctorOnADamagedBroker(t *testing.T) {
	t.Parallel()
	sh, _, _ := newShell(t)
	vhost := testenv.Rabbit(t)
	vhost.DeclareQueue("default", map[string]any{"x-queue-type": "quorum", "x-delivery-limit": 5})
	vhost.DeclareQueue("default.dead", map[string]any{"x-queue-type": "classic"})
	vhost.DeclareQueue("old", map[string]any{"x-queue-type": "classic"})
	before := vhost.Queues()
	list := decode[[]found](t, sh.must(3, "doctor", "--json", "--queue", "default,old,none"))
	contains(t, find(t, list, "warn", "x-delivery-limit is 5 there, and 1000000000 here").About, "queue default")
	find(t, list, "bad", "default.dead is not as it would be declared: x-queue-type")
	find(t, list, "note", "old is not a queue of the default arguments: x-queue-type")
	contains(t, find(t, list, "warn", "it is not there").About, "queue none")
	if after := vhost.Queues(); len(after) != len(before) {
		t.Errorf("doctor has declared queues: %+v", after)
	}

	// With the application's own topology there are no notes, but mistakes.
	file := filepath.Join(t.TempDir(), "topology.json")
	write(t, file, `{"Queues": [{"Name": "old", "Type": "classic"}, {"Name": "default", "DeliveryLimit": 7}],
		"Exchanges": [{"Name": "events", "Kind": "topic"}]}`)
	list = decode[[]found](t, sh.must(3, "doctor", "--json", "--topology", file))
	find(t, list, "bad", "default is not as it would be declared: x-delivery-limit is 5 there, and 7 here")
	find(t, list, "ok", "old: 0 messages wait")
	contains(t, find(t, list, "warn", "it is not there").About, "exchange events")
	write(t, file, `{"Queues": [{"Title": "old"}]}`)
	contains(t, sh.run("doctor", "--topology", file).err, "Title")
	sh.must(2, "doctor", "--topology", file)

	// A user who may not publish, nor read, nor declare.
	vhost.SetPermissions("^$", "^$", "^$")
	list = decode[[]found](t, sh.must(3, "doctor", "--json", "--queue", "old"))
	find(t, list, "bad", "this user may not publish")
	find(t, list, "bad", "this user may not read, configure old")
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
