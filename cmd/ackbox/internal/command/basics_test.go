package command_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/testenv"
)

// A wrong command is told from one that fails, before any server is asked.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	away := map[string]string{"DATABASE_URL": "postgres://app:opensesame@127.0.0.1:1/shop", "AMQP_URL": "amqp://app:letmein99@127.0.0.1:1/"}
	for _, c := range []struct {
		env  map[string]string
		code int
		args string
		says string
	}{
		{nil, 0, "--help", ""},
		{nil, 2, "jobz", "jobz"},
		{nil, 2, "jobs", "want one of: cancel, delete, list, requeue, run-now, show"},
		{nil, 2, "jobs frobnicate", "frobnicate"},
		{nil, 2, "jobs list --frobnicate", "frobnicate"},
		{nil, 2, "jobs list", "set DATABASE_URL"},
		{nil, 2, "dead list default", "set AMQP_URL"},
		{nil, 2, "verify", "set DATABASE_URL"},
		{nil, 0, "migrate sql", ""},
		{nil, 0, "completion bash", ""},
		{away, 2, "jobs list --state tired", "want one of pending"},
		{away, 2, "jobs list --after 7x", "--after"},
		{away, 2, "jobs list --after 1h --before 2h", "not before"},
		{away, 2, "jobs list --limit 0", "--limit"},
		{away, 2, "jobs list --timeout 1ms", "--timeout"},
		{away, 2, "jobs show", "requires at least 1 arg"},
		{away, 2, "jobs requeue", "neither an id nor a filter"},
		{away, 2, "jobs requeue --yes", "neither an id nor a filter"},
		{away, 2, "jobs requeue 01936d3e-7f3c-7c1a-9d8e-2b1f0a6c5d4e --kind x", "want one of them"},
		{away, 2, "dead requeue default", "no message is chosen"},
		{away, 2, "stats --last 1x", "--last"},
		{away, 2, "stats --step year", "--step"},
		{away, 2, "top --json", "top is for people"},
		{away, 2, "verify --patience 1ms", "--patience"},
		{away, 2, "doctor --topology /no/such/file", "--topology"},
		{away, 2, "--database-url mysql://a:opensesame@b/c jobs list", "want postgres://"},
		{away, 2, "--schema No;Schema jobs list", "Config.Schema"},
		{away, 2, "--amqp-url http://x:letmein99@y dead list default", "scheme"},
		{away, 1, "jobs list", "refused"},
		{away, 1, "migrate status", "refused"},
		{away, 1, "queues list", ""},
		{away, 1, "--timeout 500ms dead list default", "refused"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			sh := &shell{t: t, env: c.env}
			o := sh.run(strings.Fields(c.args)...)
			if o.code != c.code {
				t.Errorf("exit code %d, want %d\n%s%s", o.code, c.code, o.out, o.err)
			}
			contains(t, o.err, c.says)
			lacks(t, o.out+o.err, "opensesame", "letmein99")
		})
	}
}

// Whoever ends a command is told so, at once, and not that a server has failed.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	sh := &shell{t: t, env: map[string]string{"AMQP_URL": "amqp://app:letmein99@127.0.0.1:1/"}}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if o := sh.runIn(ctx, "dead", "list", "default"); o.code != 130 {
		t.Errorf("exit code %d: %s", o.code, o.err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	sh := &shell{t: t, env: map[string]string{"DATABASE_URL": testenv.DatabaseURL(t)}}
	contains(t, sh.must(3, "migrate", "status"), "there is no such table")
	contains(t, sh.must(0, "migrate", "up"), "from version 0 to 1")
	contains(t, sh.must(0, "migrate", "up"), "nothing to do")
	contains(t, sh.must(0, "migrate", "status"), "version 1, this build needs 1")
	v := decode[map[string]int](t, sh.must(0, "migrate", "status", "--json"))
	if v["now"] != 1 || v["needed"] != 1 {
		t.Errorf("%v", v)
	}
	other := &shell{t: t, env: sh.env}
	contains(t, other.must(3, "migrate", "status", "--schema", "app", "--table", "work"), "app.work: version 0")
	exec(t, testenv.Postgres(t), other.must(0, "migrate", "sql", "--schema", "app", "--table", "work"))
	contains(t, other.must(0, "migrate", "status", "--schema", "app", "--table", "work"), "app.work: version 1")
}

// What an application or a stranger has written cannot control a terminal.
func TestHostileTextIsText(t *testing.T) {
	t.Parallel()
	sh, db, _ := newShell(t)
	const hostile = "\x1b]0;owned\x07\u202egnp.exe\u009b31m"
	id := insert(t, db, "state, finished_at, last_error, headers", "dead", time.Now(), hostile+"\nsecond\tline", `{"h": "\u001b[2J"}`)
	exec(t, db, "UPDATE ackbox_jobs SET kind = ?, payload = ?", hostile, []byte(hostile+"\x9b"))
	for _, args := range [][]string{{"jobs", "list"}, {"jobs", "show", id}, {"jobs", "show", "--payload", id}} {
		text := sh.must(0, args...)
		lacks(t, text, "\x1b", "\x07", "\u202e", "\u009b")
		contains(t, text, `\x1b]0;owned\a`, `\u202egnp.exe`)
	}
	sh.must(0, "jobs", "list", "--json")
	lacks(t, sh.must(0, "jobs", "show", id), `{"h"`, "second line of the payload")
}
