package outbox_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox/outbox"
)

// What README.md gives people on call finds what they are called for, and nothing
// else, without reading what is done.
func TestReadmeSelects(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var selects []string
	for _, block := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		selects = append(selects, block[1])
	}
	if len(selects) != 4 {
		t.Fatalf("README.md has %d SQL blocks, want 4", len(selects))
	}
	db, s := store(t, outbox.Config{})
	me := beating(t, s)
	const sent = "state = 'sent', sent_at = now(), seen_at = now()"
	for kind, set := range map[string]string{
		"new":           "state = 'pending'",
		"later":         "due_at = now() + interval '1 hour'",
		"due for long":  "due_at = now() - interval '1 hour'",
		"between tries": "attempt = 2, last_error = 'e', due_at = now() + interval '1 minute'",
		"nacked":        "state = 'nacked', last_error = 'e'",
		"refused":       "state = 'refused', last_error = 'e'",
		"dead":          "state = 'dead', finished_at = now(), last_error = 'e'",
		"requeued":      sent + ", attempt = 4, attempts_before = 3, last_error = 'e'",
		"tried again":   sent + ", attempt = 2, last_error = 'e'",
		"crash loop":    sent + ", starts = 2",
		"sent":          sent,
		"running":       sent + fmt.Sprintf(", starts = 1, started_at = now(), holder = '%s'", me),
		"waiting":       sent + fmt.Sprintf(", holder = '%s'", me),
		"of order 42":   "key = 'order:42'",
		"of order 43":   "key = 'order:43'",
		"of the dead":   sent + ", starts = 1, started_at = now(), holder = gen_random_uuid()",
	} {
		err := db.Exec(`INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts)
			VALUES (gen_random_uuid(), ?, ?, '', 'q', true, '{}', 9)`, kind, "queue of "+kind).Error
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Exec("UPDATE ackbox_jobs SET "+set+" WHERE kind = ?", kind).Error; err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
	}
	err = db.Exec(`INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts, state, sent_at, seen_at, finished_at)
		SELECT gen_random_uuid(), 'done', 'q', '', 'q', true, '{}', 9, 'done', now(), now(), now() FROM generate_series(1, 50000)`).Error
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Exec("ANALYZE ackbox_jobs").Error; err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]string{
		{"between tries", "crash loop", "dead", "nacked", "refused", "tried again"},
		{"of the dead", "running", "waiting"},
		{"queue of due for long"},
		{"of order 42"},
	} {
		if got := firstWords(t, db, selects[i]); !slices.Equal(got, want) {
			t.Errorf("the SELECT number %d of README.md finds %q, want %q", i+1, got, want)
		}
		var plan []string
		if err := db.Raw("EXPLAIN " + selects[i]).Scan(&plan).Error; err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.Join(plan, "\n"), "Seq Scan on ackbox_jobs ") {
			t.Errorf("the SELECT number %d of README.md reads the whole table:\n%s", i+1, strings.Join(plan, "\n"))
		}
	}
}

// firstWords are, sorted, the kinds, or else the queues, that a query returns.
func firstWords(t *testing.T, db *gorm.DB, query string) []string {
	t.Helper()
	var rows []map[string]any
	if err := db.Raw(query).Scan(&rows).Error; err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, row := range rows {
		word, ok := row["kind"]
		if !ok {
			word = row["queue"]
		}
		words = append(words, fmt.Sprint(word))
	}
	slices.Sort(words)
	return words
}
