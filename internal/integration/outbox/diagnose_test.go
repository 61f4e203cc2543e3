package outbox_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

// What Diagnose says is what PostgreSQL is: a session that holds back cleaning, one that waits
// for a lock, the sizes, the settings.
func TestDiagnose(t *testing.T) {
	t.Parallel()
	db, s := store(t, outbox.Config{})
	d, err := s.Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Unknown) > 0 || len(d.Lacking) > 0 || len(d.Indexes) > 0 || d.Standby || d.ReadOnly || d.StrayRows {
		t.Errorf("a healthy server: %+v", d)
	}
	if d.Number < 130000 || !strings.HasPrefix(d.Version, "1") || d.Schema != d.SchemaNeeded || d.Schema < 1 || d.Connections < 1 || d.MaxConnections < d.Connections {
		t.Errorf("a healthy server: %+v", d)
	}
	if d.Clock.Abs() > time.Second+d.ClockError || d.DatabaseBytes < 1<<20 || d.FrozenAge <= 0 || d.Wraparound <= d.FrozenAge || len(d.Settings) != 5 {
		t.Errorf("a healthy server: %+v", d)
	}
	if !slices.ContainsFunc(d.Tables, func(x outbox.TableDiagnosis) bool { return x.Name == "ackbox_jobs" && x.Vacuums && x.Bytes > 0 }) {
		t.Errorf("tables: %+v", d.Tables)
	}

	holder := db.Begin()
	defer holder.Rollback()
	run(t, holder, "LOCK TABLE ackbox_jobs")
	run(t, holder, "SELECT pg_current_xact_id()")
	waits := make(chan error, 1)
	go func() { waits <- db.Exec("DELETE FROM ackbox_jobs").Error }()
	deadline := time.Now().Add(10 * time.Second)
	for len(d.Blocked) == 0 && time.Now().Before(deadline) {
		if d, err = s.Diagnose(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.Blocked) != 1 || len(d.Blocked[0].By) != 1 || d.Blocked[0].For <= 0 {
		t.Errorf("who waits: %+v", d.Blocked)
	}
	if !slices.ContainsFunc(d.Holders, func(h outbox.Horizon) bool {
		return h.What == "session" && h.State == "idle in transaction" && h.Age > 0 && h.Transactions >= 0 && strings.HasPrefix(h.Who, "postgres")
	}) {
		t.Errorf("who holds back cleaning: %+v", d.Holders)
	}
	holder.Rollback()
	if err := <-waits; err != nil {
		t.Error(err)
	}
}

func TestDiagnosePartitions(t *testing.T) {
	t.Parallel()
	db, s := store(t, outbox.Config{Partitioned: true})
	d, err := s.Diagnose(t.Context())
	if err != nil || d.StrayRows || len(d.Unknown) > 0 || len(d.Indexes) > 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if !slices.ContainsFunc(d.Tables, func(x outbox.TableDiagnosis) bool { return strings.HasPrefix(x.Name, "ackbox_jobs_p2") }) {
		t.Errorf("no partition is told: %+v", d.Tables)
	}
	run(t, db, `INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts)
		VALUES ('00000000-0000-4000-8000-000000000000', 'k', 'default', '', 'default', true, '{}', 9)`)
	if d, err = s.Diagnose(t.Context()); err != nil || !d.StrayRows {
		t.Errorf("a row of no day: %+v, %v", d, err)
	}
}

// Without its tables a database can be asked all the same.
func TestDiagnoseBeforeMigrate(t *testing.T) {
	t.Parallel()
	s, err := outbox.NewStore(testenv.Postgres(t), outbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Diagnose(t.Context())
	if err != nil || d.Schema != 0 || len(d.Unknown) > 0 || len(d.Lacking) > 0 || len(d.Indexes) > 0 {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestDiagnoseSQLite(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	s, err := outbox.NewStore(db, outbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Diagnose(t.Context()); err == nil || !strings.Contains(err.Error(), "PostgreSQL") {
		t.Errorf("%v", err)
	}
}

func openSQLite(t *testing.T) *gorm.DB { return open(t, sqlite.Open(":memory:"), 1, gorm.Config{}) }
