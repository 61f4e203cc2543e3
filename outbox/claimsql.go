package outbox

import "strings"

// inlineColumns are a job's as a claim reads them: without payload and headers if
// these are larger than their share of a batch.
var inlineColumns = strings.Replace(jobColumns, "payload, headers",
	"CASE WHEN {size} <= ? THEN payload END AS payload, CASE WHEN {size} <= ? THEN headers END AS headers", 1) + ", due_at, {ms since refused_at}"

// claimOf claims up to a limit of due jobs: a fair share of each of the queues
// it is given that have any, in the order given.
//
// Each queue is one place in the partial index, and its ORDER BY is the rest of
// the index's columns, so a claim reads what it takes and nothing else. It must
// say t.id there: a bare id is the text that is selected, and the sort by it
// would read all that is due. The first LATERAL finds, and locks, the first row of
// each queue that nobody else has, so that what others have on the wire gets no share;
// the second begins there. A pending job that somebody has in hand, because its confirm
// was lost and its message was not, is not sent again as long as he lives.
func claimOf(d *dialect) string {
	if !d.numbered {
		return `WITH turns AS (
	SELECT id AS turn, row_number() OVER (PARTITION BY queue ORDER BY due_at, id) AS nth
	FROM {table} WHERE state = 'pending' AND holder IS NULL AND due_at <= {start} AND queue NOT IN (SELECT value FROM json_each(?)) AND queue NOT IN (SELECT queue FROM {queues})
	ORDER BY nth, due_at, id LIMIT ?
)
SELECT ` + inlineColumns + ` FROM turns JOIN {table} ON id = turn ORDER BY nth, due_at, id`
	}
	const from = `
		FROM {table} AS t WHERE t.state = 'pending' AND t.queue = q.queue AND t.holder IS NULL AND (t.due_at, t.id)`
	const until = `
			AND t.due_at <= {start} AND t.due_at < q.until
		ORDER BY t.due_at, t.id LIMIT `
	return `WITH due AS MATERIALIZED (
	SELECT q.queue, first.due_at AS at, first.id, q.until
	FROM jsonb_to_recordset(?::jsonb) AS q(queue text, at timestamptz, id uuid, until timestamptz)
	CROSS JOIN LATERAL (
		SELECT t.due_at, t.id` + from + ` > (q.at, q.id)` + until + `1 {lock}
	) AS first
	LIMIT ?::bigint
), shares AS (
	SELECT *, ?::bigint / count(*) OVER () + (row_number() OVER () <= ?::bigint % count(*) OVER ())::int AS share FROM due
)
SELECT job.* FROM shares AS q CROSS JOIN LATERAL (
	SELECT ` + inlineColumns + from + ` >= (q.at, q.id)` + until + `q.share {lock}
) AS job`
}

// largeOf reads the payloads and headers of jobs in their order, until they have
// so many bytes: the job that reaches that is the last. Of those behind it only
// the sizes are read.
func largeOf(d *dialect) string {
	ids := `(SELECT value AS job, key AS nth FROM json_each(?)) AS r`
	if d.numbered {
		ids = `(SELECT id::uuid AS job, nth FROM jsonb_array_elements_text(?::jsonb) WITH ORDINALITY AS r(id, nth)) AS r`
	}
	return `SELECT {id}, payload, headers FROM (
	SELECT id, payload, headers, nth, {size} AS size, sum({size}) OVER (ORDER BY nth ROWS UNBOUNDED PRECEDING) AS total
	FROM ` + ids + ` JOIN {table} ON id = job
) AS counted WHERE total - size < ? ORDER BY nth`
}

// seekOf finds the queues that have pending jobs, beside those that it is given.
// It hops from queue to queue in the gaps between these, so that it reads nothing
// of theirs: a row that is no longer pending, and not vacuumed yet, is read
// before the next queue is seen.
const seekOf = `WITH RECURSIVE gaps AS (
	SELECT name, lead(name) OVER (ORDER BY name) AS next FROM jsonb_array_elements_text(?::jsonb) AS name
), hop AS (
	SELECT name AS queue, next AS before, false AS found FROM gaps
	UNION ALL
	SELECT found.queue, hop.before, true FROM hop CROSS JOIN LATERAL (
		(SELECT t.queue FROM {table} AS t WHERE t.state = 'pending' AND t.queue > hop.queue AND t.queue < hop.before
			AND t.due_at >= {time ?} ORDER BY t.queue LIMIT 1)
		UNION ALL
		(SELECT t.queue FROM {table} AS t WHERE hop.before IS NULL AND t.state = 'pending' AND t.queue > hop.queue
			AND t.due_at >= {time ?} ORDER BY t.queue LIMIT 1)
	) AS found
)
SELECT queue FROM hop WHERE found`

// claimSession bounds how long a process that has frozen keeps its rows locked:
// silent between two statements, or reading no more of the answer to one. (The
// server waits for a client to read with no timeout but TCP's; a Unix socket has
// none, and there it changes nothing.)
//
// Statistics lag behind a backlog that grows quickly, and a planner that believes
// in a few due rows would collect and sort them: all of the backlog for each
// batch. Of an index it can only read as much as it needs. It also expects so much
// of a claim that it would compile it first.
//
// Bytes and times come as text over the simple protocol, and must come in the form
// that pgx reads, whatever the role's or the database's settings say.
//
// The queues that are paused are read with it: a claim takes nothing of a queue that was
// paused before it began, in whatever process.
const claimSession = `SELECT now(), set_config('idle_in_transaction_session_timeout', $1, true),
	set_config('tcp_user_timeout', $2, true),
	set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true),
	set_config('jit', 'off', true),
	set_config('bytea_output', 'hex', true), set_config('DateStyle', 'ISO', true),
	(SELECT {list of queue} FROM {queues})`
