package outbox_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

// The recipe of docs/partitions.md makes of a table what Migrate would have made,
// with all of its jobs, and the old table is dropped like any partition.
func TestMoveOver(t *testing.T) {
	t.Parallel()
	db, s := store(t, outbox.Config{})
	texts := make(map[string]string)
	jobs := map[string]string{
		"today": put(t, db, 0, 1, ""), "long ago": put(t, db, 100, 1, over+"state = 'dead'"), "tomorrow": put(t, db, -1, 1, ""),
		"done": put(t, db, 9, 1, over+"state = 'done'"), "sent": put(t, db, 8, 1, onceSent+"state = 'sent'"),
	}
	for _, id := range jobs {
		texts[id] = text(t, db, id)
	}
	doc, err := os.ReadFile("../../../docs/partitions.md")
	if err != nil {
		t.Fatal(err)
	}
	_, recipe, _ := strings.Cut(string(doc), "```sql\n")
	recipe, _, _ = strings.Cut(recipe, "```")
	run(t, db, recipe)

	dsn := testenv.DatabaseURL(t)
	moved := open(t, postgres.Open(dsn), 3, gorm.Config{})
	now, err := outbox.NewStore(moved, outbox.Config{Partitioned: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := now.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	enqueue(t, db, 1) // an instance that runs still
	if n, err := s.Relay(t.Context(), core.Claim{Limit: 10}, allSentIn); n != 3 || err != nil {
		t.Errorf("it relayed %d, %v; want 3", n, err)
	}
	run(t, db, "UPDATE ackbox_jobs SET state = 'pending', sent_at = NULL, seen_at = NULL WHERE id IN ('"+jobs["today"]+"', '"+jobs["tomorrow"]+"')")
	for name, id := range jobs {
		if got := text(t, moved, id); got != texts[id] {
			t.Errorf("the job %s was\n%s and is\n%s", name, texts[id], got)
		}
	}
	// Today's are in the old table, tomorrow has one in the default partition.
	if n, err := now.MakePartitions(t.Context(), 3); n != 2 || err != nil {
		t.Errorf("made %d, %v; want 2", n, err)
	}
	want := []string{"ackbox_jobs_before", nameOf(-2), nameOf(-3)}
	if got := partitions(t, moved); !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}

	fresh := open(t, postgres.Open(testenv.DatabaseURL(&another{t})), 3, gorm.Config{})
	s, err = outbox.NewStore(fresh, outbox.Config{Partitioned: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := definition(t, moved), definition(t, fresh); !maps.Equal(got, want) {
		t.Errorf("the recipe made\n%v, Migrate\n%v", got, want)
	}

	// When its last day is over for long, it goes like any other.
	bound := idOf(today().AddDate(0, 0, -4), 0)[:13] + "-0000-0000-000000000000"
	run(t, moved, "DELETE FROM ackbox_jobs_before WHERE id >= '"+bound+"'",
		"ALTER TABLE ackbox_jobs DETACH PARTITION ackbox_jobs_before",
		"ALTER TABLE ackbox_jobs ATTACH PARTITION ackbox_jobs_before FOR VALUES FROM (MINVALUE) TO ('"+bound+"')")
	drop(t, now, []string{"ackbox_jobs_before"}, nil)
	for name, want := range map[string]string{"long ago": texts[jobs["long ago"]], "sent": texts[jobs["sent"]], "done": ""} {
		if got := text(t, moved, jobs[name]); got != want {
			t.Errorf("after it the job %s is %q, want %q", name, got, want)
		}
	}
}

// definition is all that makes the parent and its default partition.
func definition(t *testing.T, db *gorm.DB) map[string]string {
	t.Helper()
	var rows []struct{ Name, Text string }
	err := db.Raw(`SELECT 'column ' || attname AS name, format_type(atttypid, atttypmod) || attnotnull || coalesce(pg_get_expr(adbin, adrelid), '') AS text
			FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = 'ackbox_jobs'::regclass AND attnum > 0
		UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'ackbox_jobs'::regclass
		UNION ALL SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) || indisvalid FROM pg_index WHERE indrelid = 'ackbox_jobs'::regclass
		UNION ALL SELECT relname, relkind::text || array_to_string(reloptions, ' ') FROM pg_class WHERE relname = 'ackbox_jobs_default'
		UNION ALL SELECT 'key', pg_get_partkeydef('ackbox_jobs'::regclass)`).Scan(&rows).Error
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, r := range rows {
		all[r.Name] = r.Text
	}
	return all
}
