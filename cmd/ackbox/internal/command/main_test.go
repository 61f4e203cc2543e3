// Package command_test runs the program's commands on real servers, as a shell would.
package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox/cmd/ackbox/internal/command"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shell runs commands with an environment.
type shell struct {
	t        *testing.T
	env      map[string]string
	in       string
	terminal bool
}

// out is what a command has left.
type out struct {
	code     int
	out, err string
}

func (s *shell) run(args ...string) out {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	return s.runIn(ctx, args...)
}

func (s *shell) runIn(ctx context.Context, args ...string) out {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	code := command.Run(ctx, command.Env{
		In: strings.NewReader(s.in), Out: &stdout, Err: &stderr, Terminal: s.terminal,
		Getenv: func(name string) string { return s.env[name] },
	}, args)
	return out{code, stdout.String(), stderr.String()}
}

// must runs a command that has to end with code, and returns what it printed.
func (s *shell) must(code int, args ...string) string {
	s.t.Helper()
	o := s.run(args...)
	if o.code != code {
		s.t.Fatalf("ackbox %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), o.code, code, o.out, o.err)
	}
	return o.out
}

// decode reads what a command printed with --json.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("no JSON: %v\n%s", err, text)
	}
	return v
}

// newShell is a shell on servers of the test's own, with tables.
func newShell(t *testing.T) (*shell, *gorm.DB, *outbox.Store) {
	t.Helper()
	db := testenv.Postgres(t)
	store, err := outbox.NewStore(db, outbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &shell{t: t, env: map[string]string{"DATABASE_URL": testenv.DatabaseURL(t), "AMQP_URL": testenv.AMQPURL(t)}}, db, store
}

// exec runs a statement of the test's.
func exec(t *testing.T, db *gorm.DB, query string, args ...any) {
	t.Helper()
	if err := db.Exec(query, args...).Error; err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// insert writes a job's row in a state, and returns its id.
func insert(t *testing.T, db *gorm.DB, columns string, values ...any) string {
	t.Helper()
	id := outbox.NewID()
	marks := strings.Repeat(", ?", len(values))
	exec(t, db, `INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts, `+columns+`)
		VALUES (?, 'report.make', 'default', '', 'default', true, '{"n":1}', 9`+marks+`)`, append([]any{id}, values...)...)
	return id
}

func contains(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			t.Errorf("there is no %q in:\n%s", w, text)
		}
	}
}

func lacks(t *testing.T, text string, unwanted ...string) {
	t.Helper()
	for _, w := range unwanted {
		if strings.Contains(text, w) {
			t.Errorf("there is %q in:\n%s", w, text)
		}
	}
}
