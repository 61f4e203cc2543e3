package outbox

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// dialect is all that differs between the two databases. Statements are
// written once, with {tokens} for these parts and ? for parameters.
type dialect struct {
	name    string
	schemas bool
	// tokens are replaced in every statement. {now} is the wall clock of the
	// database: now() would be the start of a transaction that may have been
	// on the wire for seconds. {start}, in conditions, is now(): an index can
	// serve it, where clock_timestamp() is volatile and would scan.
	tokens []string
	// newIdentity is how a ledger's identity is made: 12 random hexadecimal digits,
	// since each message carries it.
	newIdentity string
	// numbered makes ? into $1, $2, …
	numbered bool
	// idList encodes ids for the {in ids} token.
	idList func([]string) string
	// batchList encodes claimed jobs for the {in batch} token.
	batchList func([]*ackbox.Job) string
	// tries encodes ids and attempts for the {tries} token.
	tries func([]core.Transition) []any
	// timeParam encodes a caller's absolute time.
	timeParam func(time.Time) any
}

func dialectOf(name string) (*dialect, error) {
	switch name {
	case "postgres":
		return postgresDialect, nil
	case "sqlite":
		return sqliteDialect, nil
	}
	return nil, fmt.Errorf("outbox: database %q is not supported: want postgres or sqlite", name)
}

var postgresDialect = &dialect{
	name:    "postgres",
	schemas: true,

	newIdentity: "left(replace(gen_random_uuid()::text, '-', ''), 12)",

	numbered: true,
	tokens: []string{
		"{now}", "clock_timestamp()",
		"{start}", "now()",
		"{after l.after_ms}", "clock_timestamp() + l.after_ms * interval '1 millisecond'",
		"{after ?}", "clock_timestamp() + ?::bigint * interval '1 millisecond'",
		"{before ?}", "now() - ?::bigint * interval '1 millisecond'",
		"{time ?}", "?::timestamptz",
		"{id ?}", "?::uuid",
		"{flag ?}", "?::boolean",
		"{size}", "octet_length(payload) + coalesce(pg_column_size(headers), 0)",
		"{json ?}", "?::jsonb",
		"{id}", "id::text",
		"{t.id}", "t.id::text",
		"{hex payload}", "encode(payload, 'hex')",
		"{micros now}", micros("clock_timestamp()"),
		"{micros created_at}", micros("created_at"),
		"{micros due_at}", micros("due_at"),
		"{micros sent_at}", micros("sent_at"),
		"{micros started_at}", micros("started_at"),
		"{micros seen_at}", micros("seen_at"),
		"{micros refused_at}", micros("refused_at"),
		"{list wait}", "wait::text",
		"{list run}", "run::text",
		"{micros finished_at}", micros("finished_at"),
		"{micros max(sent_at)}", micros("max(sent_at)"),
		"{micros at}", micros("at"),
		"{micros t.due_at}", micros("t.due_at"),
		"{micros t.seen_at}", micros("t.seen_at"),
		"{micros p.paused_at}", micros("p.paused_at"),
		"{queues of i}", "jsonb_array_elements_text(i.queues) AS e(value)",
		"{micros t.created_at}", micros("t.created_at"),
		"{micros min(at)}", micros("min(at)"),
		"{micros max(at)}", micros("max(at)"),
		"{has}", `strpos(lower(coalesce(t.last_error, '') COLLATE "C"), lower(?::text COLLATE "C")) > 0`,
		"{first line}", "left(split_part(coalesce(t.last_error, ''), E'\\n', 1), 200)",
		"{in ids}", "= ANY(?::uuid[])",
		"{in picked}", "id = ANY (ARRAY(SELECT id FROM picked))",
		"{place}", "ctid",
		"{place in picked}", "ctid = ANY (ARRAY(SELECT place FROM picked))",
		"{names}", "jsonb_array_elements_text(?::jsonb) AS q(queue)",
		// The rows are locked by this transaction since the claim.
		"{in batch}", "id = ANY(?::uuid[])",
		"{lock}", "FOR NO KEY UPDATE SKIP LOCKED",
		"{lock t}", "FOR NO KEY UPDATE OF t SKIP LOCKED",
		"{lock delete}", "FOR UPDATE SKIP LOCKED",
		// Who takes a job into his hands, or out of somebody's, locks it harder than a
		// dispatcher does, so that these can be told apart by a lock that only the
		// latter lets pass.
		"{lock hand}", "FOR UPDATE SKIP LOCKED",
		"{lock hand t}", "FOR UPDATE OF t SKIP LOCKED",
		"{lock wait}", "FOR NO KEY UPDATE",
		"{rows}", "jsonb_to_recordset(?::jsonb) AS r(id uuid, attempt int, resend int, holder uuid, target text, after_ms bigint, charge boolean, no_outcome boolean, error text, what text, ran bigint)",
		"{copies}", "jsonb_to_recordset(?::jsonb) AS r(id uuid, attempt int, resend int, running_ms bigint)",
		"{silent}", "now() - interval '" + silence + " seconds'",
		"{one of i.queues}", "i.queues @> to_jsonb(q.queue)",
		"{ago l.running_ms}", "clock_timestamp() - l.running_ms * interval '1 millisecond'",
		"{not in ids}", "<> ALL (?::uuid[])",
		"{holder}", "coalesce(holder::text, '')",
		"{list of queue}", "coalesce(json_agg(queue), '[]')::text",
		"{ms since refused_at}", "CASE WHEN refused_at IS NULL THEN 0 ELSE (extract(epoch FROM clock_timestamp() - refused_at) * 1000)::bigint END",
		"{tries}", "unnest(?::uuid[], ?::int[]) AS r(id, attempt)",
		"{text ?}", "?::text",
	},
	idList: postgresIDs,
	batchList: func(jobs []*ackbox.Job) string {
		ids := make([]string, len(jobs))
		for i, job := range jobs {
			ids[i] = job.ID
		}
		return postgresIDs(ids)
	},
	tries: func(transitions []core.Transition) []any {
		ids, attempts := make([]string, len(transitions)), make([]string, len(transitions))
		for i, t := range transitions {
			ids[i], attempts[i] = t.ID, strconv.Itoa(t.Attempt)
		}
		return []any{postgresIDs(ids), "{" + strings.Join(attempts, ",") + "}"}
	},
	timeParam: func(t time.Time) any { return t.UTC() },
}

// silence is core.Silence in seconds.
var silence = strconv.Itoa(int(core.Silence / time.Second))

// micros reads a time as microseconds since 1970, which no DateStyle changes.
func micros(expr string) string {
	return "(extract(epoch FROM " + expr + ") * 1000000)::bigint"
}

func postgresIDs(ids []string) string { return "{" + strings.Join(ids, ",") + "}" }

// sqliteTime is how times stand in SQLite: text that sorts and that a person
// can read, in UTC, to the millisecond.
const sqliteTime = "2006-01-02 15:04:05.000"

const sqliteNow = "strftime('%Y-%m-%d %H:%M:%f', 'now')"

var sqliteDialect = &dialect{
	name: "sqlite",

	newIdentity: "lower(hex(randomblob(6)))",

	tokens: []string{
		"{now}", sqliteNow,
		"{start}", sqliteNow,
		"{after l.after_ms}", "strftime('%Y-%m-%d %H:%M:%f', 'now', (l.after_ms / 1000.0) || ' seconds')",
		"{after ?}", "strftime('%Y-%m-%d %H:%M:%f', 'now', (? / 1000.0) || ' seconds')",
		"{before ?}", "strftime('%Y-%m-%d %H:%M:%f', 'now', (-? / 1000.0) || ' seconds')",
		"{time ?}", "?",
		"{id ?}", "?",
		"{flag ?}", "?",
		"{size}", "length(payload) + coalesce(length(headers), 0)",
		"{json ?}", "?",
		"{id}", "id",
		"{hex payload}", "hex(payload)",
		"{micros now}", sqliteNow,
		"{micros created_at}", "created_at",
		"{micros due_at}", "due_at",
		"{micros sent_at}", "sent_at",
		"{micros started_at}", "started_at",
		"{micros seen_at}", "seen_at",
		"{micros refused_at}", "refused_at",
		"{list wait}", "wait",
		"{list run}", "run",
		"{micros finished_at}", "finished_at",
		"{micros max(sent_at)}", "max(sent_at)",
		"{micros at}", "at",
		"{micros t.due_at}", "t.due_at",
		"{micros t.seen_at}", "t.seen_at",
		"{micros p.paused_at}", "p.paused_at",
		"{queues of i}", "json_each(i.queues) AS e",
		"{micros t.created_at}", "t.created_at",
		"{micros min(at)}", "min(at)",
		"{micros max(at)}", "max(at)",
		"{has}", "instr(lower(coalesce(t.last_error, '')), lower(?)) > 0",
		"{first line}", "substr(coalesce(t.last_error, ''), 1, min(200, instr(coalesce(t.last_error, '') || char(10), char(10)) - 1))",
		"{t.id}", "id", // RETURNING knows no alias
		"{in ids}", "IN (SELECT value FROM json_each(?))",
		"{in picked}", "id IN (SELECT id FROM picked)",
		"{place}", "rowid",
		"{place in picked}", "rowid IN (SELECT place FROM picked)",
		"{names}", "(SELECT value AS queue FROM json_each(?)) AS q",
		// Nothing was locked since the claim: a worker may have moved the row on.
		"{in batch}", "(id, attempt, resend) IN (SELECT value ->> 'id', value ->> 'attempt', value ->> 'resend' FROM json_each(?))",
		// One process, one writer: there is nobody to skip.
		"{lock}", "",
		"{lock t}", "",
		"{lock delete}", "",
		"{lock hand}", "",
		"{lock hand t}", "",
		"{lock wait}", "",
		"{rows}", `(SELECT value ->> 'id' AS id, value ->> 'attempt' AS attempt,
		value ->> 'resend' AS resend, value ->> 'holder' AS holder, value ->> 'target' AS target, value ->> 'after_ms' AS after_ms,
		value ->> 'charge' AS charge, value ->> 'no_outcome' AS no_outcome, value ->> 'error' AS error,
		value ->> 'what' AS what, value ->> 'ran' AS ran FROM json_each(?)) AS r`,
		"{copies}", `(SELECT value ->> 'id' AS id, value ->> 'attempt' AS attempt,
		value ->> 'resend' AS resend, value ->> 'running_ms' AS running_ms FROM json_each(?)) AS r`,
		"{silent}", "strftime('%Y-%m-%d %H:%M:%f', 'now', '-" + silence + " seconds')",
		"{one of i.queues}", "EXISTS (SELECT 1 FROM json_each(i.queues) WHERE value = q.queue)",
		"{ago l.running_ms}", "strftime('%Y-%m-%d %H:%M:%f', 'now', (-l.running_ms / 1000.0) || ' seconds')",
		"{not in ids}", "NOT IN (SELECT value FROM json_each(?))",
		"{holder}", "coalesce(holder, '')",
		"{list of queue}", "json_group_array(queue)",
		"{ms since refused_at}", "coalesce(CAST((julianday('now') - julianday(refused_at)) * 86400000 AS integer), 0)", "{tries}", "(SELECT value ->> 'id' AS id, value ->> 'attempt' AS attempt FROM json_each(?)) AS r",
		"{text ?}", "?",
	},
	idList: func(ids []string) string {
		list, _ := json.Marshal(ids) // a []string always encodes
		return string(list)
	},
	batchList: func(jobs []*ackbox.Job) string {
		changes := make([]change, len(jobs))
		for i, job := range jobs {
			changes[i] = change{ID: job.ID, Attempt: job.Attempt, Resend: &job.Resend}
		}
		return sqliteChanges(changes)
	},
	tries: func(transitions []core.Transition) []any {
		changes := make([]change, len(transitions))
		for i, t := range transitions {
			changes[i] = change{ID: t.ID, Attempt: t.Attempt}
		}
		return []any{sqliteChanges(changes)}
	},
	timeParam: func(t time.Time) any { return t.UTC().Format(sqliteTime) },
}

func sqliteChanges(changes []change) string {
	list, _ := json.Marshal(changes) // numbers and strings always encode
	return string(list)
}

// bind numbers the parameters of query where the database wants that.
func (d *dialect) bind(query string) string {
	if !d.numbered {
		return query
	}
	var b strings.Builder
	n := 0
	for i := range len(query) {
		if query[i] != '?' {
			b.WriteByte(query[i])
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}

// dbTime scans a timestamp of either database; Valid is false for NULL.
type dbTime struct {
	time.Time
	Valid bool
}

// Scan implements sql.Scanner.
func (t *dbTime) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*t = dbTime{}
		return nil
	case time.Time:
		*t = dbTime{Time: v.UTC(), Valid: true}
		return nil
	case int64: // micros
		*t = dbTime{Time: time.UnixMicro(v).UTC(), Valid: true}
		return nil
	case string:
		parsed, err := time.Parse(sqliteTime, v)
		if err != nil {
			return fmt.Errorf("scan time: %w", err)
		}
		*t = dbTime{Time: parsed, Valid: true}
		return nil
	}
	return fmt.Errorf("scan time: unexpected %T", src)
}

// pointer returns the time, or nil for NULL.
func (t *dbTime) pointer() *time.Time {
	if !t.Valid {
		return nil
	}
	v := t.Time
	return &v
}
