package outbox

// claimed are the columns of a claim: a job's, and what the next claim wants to
// know of it.
const claimedColumns = `id, kind, queue, exchange, routing_key, mandatory, payload, headers,
	attempt, max_attempts, resend, publish_attempt, created_at, due_at, share, total`

// claimOf claims up to a limit of due jobs: a fair share of each of the queues
// it is given that have any, in the order given.
//
// Each queue is one place in the partial index, and its ORDER BY is the rest of
// the index's columns, so a claim reads what it takes and nothing else. It must
// say t.id there: a bare id is the text that is selected, and the sort by it
// would read all that is due. The first LATERAL is no EXISTS because that could
// become a join with all that is due.
//
// The payloads go only as far as a number of bytes: of a row behind that only
// the size is read. The job that reaches it is the last, so one always goes.
func claimOf(d *dialect) string {
	if !d.numbered {
		return `WITH turns AS (
	SELECT id, row_number() OVER (PARTITION BY queue ORDER BY due_at, id) AS nth
	FROM {table} WHERE state = 'pending' AND due_at <= {start} AND queue NOT IN (SELECT value FROM json_each(?))
	ORDER BY nth, due_at, id LIMIT ?
), counted AS (
	SELECT t.id AS picked, nth, length(payload) + coalesce(length(headers), 0) AS size,
		sum(length(payload) + coalesce(length(headers), 0)) OVER (ORDER BY nth, due_at, t.id) AS total
	FROM turns JOIN {table} AS t ON t.id = turns.id
)
SELECT ` + jobColumns + `, due_at, 0, total FROM counted JOIN {table} ON id = picked
WHERE total - size < ? ORDER BY nth, due_at, id`
	}
	const inSpan = `t.state = 'pending' AND t.queue = q.queue AND (t.due_at, t.id) > (q.at, q.id)
			AND t.due_at <= {start} AND t.due_at < q.until
		ORDER BY t.due_at, t.id LIMIT `
	return `WITH due AS MATERIALIZED (
	SELECT q.* FROM jsonb_to_recordset(?::jsonb) AS q(queue text, at timestamptz, id uuid, until timestamptz)
	CROSS JOIN LATERAL (
		SELECT FROM {table} AS t WHERE ` + inSpan + `1
	) AS first
	LIMIT ?::bigint
), shares AS (
	SELECT *, ?::bigint / count(*) OVER () + (row_number() OVER () <= ?::bigint % count(*) OVER ())::int AS share FROM due
), taken AS MATERIALIZED (
	SELECT job.*, q.share FROM shares AS q CROSS JOIN LATERAL (
		SELECT ` + jobColumns + `, due_at, octet_length(payload) + coalesce(pg_column_size(headers), 0) AS size
		FROM {table} AS t WHERE ` + inSpan + `q.share {lock}
	) AS job
)
SELECT ` + claimedColumns + ` FROM (
	SELECT *, sum(size) OVER (ROWS UNBOUNDED PRECEDING) AS total FROM taken
) AS counted WHERE total - size < ?::bigint`
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
// batch. Of an index it can only read as much as it needs.
const claimSession = `SELECT now(), set_config('idle_in_transaction_session_timeout', $1, true),
	set_config('tcp_user_timeout', $2, true),
	set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true)`
