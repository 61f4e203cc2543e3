package outbox

import (
	"slices"
	"strings"

	"github.com/ackbox/ackbox"
)

// statements are the SQL texts of one Store, made once: the same text every
// time is what lets PostgreSQL and its drivers reuse a plan.
type statements struct {
	table string
	text  func(string) string // makes what is made when it is needed

	inserts            [8]string // of 1, 2, 4, … 128 rows
	claim, large, seek string
	claimSession       string
	markSent, markDone string
	markBatchDone      string
	apply              string
	complete, giveUp   string
	finishedAt         string
	receive, received  string
	standings          string
	beat, instances    string
	leave, giveBack    string
	breathing          string
	start, hold        string
	onWire             string // PostgreSQL only
	reconcile          string
	takeBack, forget   string
	refused            string
	pendingQueues      string
	unattended         string
	rearm, resend      string
	frontiers          string
	purge, purgeDead   string
	purgeInbox         string
	addStats, stat     string
	purgeStats         string
	nackedQueues       string
	sentQueues         string
	finishedQueues     string
	get, counts        string
	identity           string
	acting             map[Action]string
	record, operation  string
	operations, begin  string
	purgeOperations    string
	balance            string
	late, adrift       string
	orphaned, crashing string
	unroutable         string
	refusedQueues      string
	carry, carried     string
	carryFailed, halt  string
	ready              string
	pause, resume      string
	pauses             string
}

// unfinished are the states in which a report about the current try is welcome:
// pending, nacked and, of a job that somebody here will finish, sent. Pending
// and nacked are among them because a copy whose confirm never came may have
// been delivered all the same. The table's CHECK makes this one test enough.
const unfinished = `finished_at IS NULL`

// picked wraps a statement around the rows that its first query locked. It is
// a CTE and not a subquery because PostgreSQL may run a subquery more than
// once, and would then skip and lock other rows each time, past the LIMIT. The
// lock re-checks the query's conditions on the newest version of a row, so the
// id alone is guard enough for what follows. The ids are looked up as an array:
// for a join PostgreSQL would choose between the index and all of the table, by
// guesses about the CTE.
func picked(query, statement string) string {
	return "WITH picked AS MATERIALIZED (\n\t" + query + "\n)\n" + statement + " WHERE {in picked}"
}

// known tests the state of rows that are known by id. A plain comparison would
// let the planner choose the partial index of that state and read all of it for
// a few ids, wherever statistics lag behind and say that there is little in it.
func known(state ackbox.State) string { return "state || '' = '" + string(state) + "'" }

// The row's columns as claim reads them.
const jobColumns = `{id}, kind, coalesce(key, '') AS key, queue, exchange, routing_key, mandatory, payload, headers,
	attempt, max_attempts, resend, publish_attempt, attempts_before, created_at`

// textColumns are the same where the answer may be text: how a session shows times and
// bytes, which is for its role or database to say, must not matter then. (A claim sets
// that for its transaction.)
const textColumns = `{id}, kind, coalesce(key, '') AS key, queue, exchange, routing_key, mandatory, {hex payload}, headers,
	attempt, max_attempts, resend, publish_attempt, attempts_before, {micros created_at}`

// entryColumns are a row's as operators read them.
const entryColumns = textColumns + `,
	state, {micros due_at}, {micros sent_at}, {micros finished_at}, last_error, history,
	{holder}, {micros started_at}, starts`

// texts returns the function that makes a statement of a template: for one database, and
// one table.
func texts(d *dialect, cfg Config) func(string) string {
	table := qualified(cfg)
	purged := table
	if cfg.Partitioned { // the other partitions are dropped whole
		purged = partitionOf(table, "default")
	}
	tokens := strings.NewReplacer(slices.Concat(tableNames(table), []string{"{purged}", purged, "{unfinished}", unfinished}, d.tokens)...)
	return func(query string) string { return d.bind(tokens.Replace(query)) }
}

func newStatements(d *dialect, cfg Config) statements {
	table, text := qualified(cfg), texts(d, cfg)
	s := statements{table: table, text: text}

	s.identity = text(`SELECT ledger FROM ` + versionTable(table) + ` WHERE version = 1`)

	// Enqueue. Only a few numbers of rows have a statement, so that many calls
	// do not fill the drivers' caches of prepared statements.
	for i := range s.inserts {
		const row = `({id ?}, ?, ?, ?, ?, ?, ?, {json ?}, ?, coalesce({time ?}, {after ?}), {now}, nullif(?, ''))`
		s.inserts[i] = text(`INSERT INTO {table} (id, kind, queue, exchange, routing_key, mandatory,
	payload, headers, max_attempts, due_at, created_at, key) VALUES ` + row + strings.Repeat(", "+row, 1<<i-1))
	}

	// Relay.
	s.claim, s.large, s.seek, s.claimSession = text(claimOf(d)), text(largeOf(d)), text(seekOf), text(claimSession)
	// A publish-only message ends at sent, so it is finished with it.
	s.markSent = text(`UPDATE {table} SET state = 'sent', sent_at = {now}, seen_at = {now}, refused_at = NULL,
	finished_at = CASE WHEN queue = '' THEN {now} END
WHERE {in batch} AND ` + known(ackbox.Pending))
	s.markBatchDone = text(`UPDATE {table} SET state = 'done', sent_at = coalesce(sent_at, {now}), finished_at = {now}, refused_at = NULL
WHERE {in batch} AND {unfinished}`)

	// Finish. Rows of a batch that is still on the wire are locked by its
	// dispatcher; they are skipped, not waited for. Locking in id order keeps
	// two flushes from deadlocking.
	s.markDone = text(`WITH locked AS (
	SELECT t.id FROM {table} AS t JOIN {tries} ON r.id = t.id AND r.attempt = t.attempt
	WHERE t.{unfinished} ORDER BY t.id {lock t}
)
UPDATE {table} AS t SET state = 'done', sent_at = coalesce(t.sent_at, {now}), finished_at = {now}, refused_at = NULL
FROM locked AS l WHERE t.id = l.id RETURNING {t.id}`)
	// The WHERE is funcs reachable and refused in SQL.
	const sentInTry = "CASE WHEN l.what = '" + string(Refused) + "' THEN NULL ELSE t.sent_at END"
	s.apply = text(`WITH locked AS (
	SELECT t.id, r.holder, r.target, r.after_ms, r.charge, r.no_outcome, r.error, r.what, r.ran
	FROM {table} AS t JOIN {rows} ON r.id = t.id AND r.attempt = t.attempt AND (coalesce(r.resend, t.resend) = t.resend OR r.holder = t.holder)
	WHERE t.{unfinished} AND (r.target IN ('pending', 'done', 'dead')
		OR t.state = 'pending' OR t.state = 'nacked' AND r.target = 'cancelled')
		AND (r.holder IS NULL OR r.target = 'done' OR ` + free(d, "r.holder") + `)
	ORDER BY t.id {lock t}
)
UPDATE {table} AS t SET
	state = l.target,
	attempt = CASE WHEN l.charge THEN t.attempt + 1 ELSE t.attempt END,
	resend = CASE WHEN l.target <> 'pending' THEN t.resend WHEN l.charge THEN 0 ELSE t.resend + 1 END,
	publish_attempt = CASE WHEN l.target IN ('nacked', 'refused') THEN t.publish_attempt + 1 WHEN l.charge THEN 0 ELSE t.publish_attempt END,
	refused_at = CASE WHEN l.target IN ('nacked', 'refused') THEN coalesce(t.refused_at, {now}) WHEN l.charge OR l.target IN ('sent', 'done') THEN NULL ELSE t.refused_at END,
	due_at = CASE WHEN l.target IN ('pending', 'nacked', 'refused') THEN {after l.after_ms} ELSE t.due_at END,
	sent_at = CASE l.target WHEN 'done' THEN coalesce(t.sent_at, {now}) WHEN 'sent' THEN {now} ELSE t.sent_at END,
	seen_at = CASE l.target WHEN 'sent' THEN {now} ELSE t.seen_at END,
	finished_at = CASE WHEN l.target IN ('done', 'dead', 'cancelled') OR l.target = 'sent' AND t.queue = '' THEN {now} END,
	holder = CASE WHEN l.target = 'pending' AND l.holder IS NOT NULL THEN NULL ELSE t.holder END,
	started_at = CASE WHEN l.target = 'pending' AND l.holder IS NOT NULL THEN NULL ELSE t.started_at END,
	starts = CASE WHEN l.target <> 'pending' OR l.holder IS NULL THEN t.starts WHEN l.charge OR NOT l.no_outcome THEN 0
		WHEN t.holder = l.holder AND t.started_at IS NOT NULL AND t.starts > 0 THEN t.starts - 1 ELSE t.starts END,
	last_error = CASE WHEN l.error <> '' THEN l.error ELSE t.last_error END,
	history = CASE WHEN l.what <> '' THEN ` + withEvent(d, "t.", event{"l.what", "t.attempt", "l.holder", "l.error", sentInTry, "nullif(l.ran, 0)", ""}) + ` ELSE t.history END
FROM locked AS l WHERE t.id = l.id RETURNING {t.id}`)
	s.standings = text(`SELECT {id}, attempt, resend, state, {unfinished}, {holder}, holder IS NOT NULL AND started_at IS NOT NULL AND NOT ` + dead(d, "holder") + `
FROM {table} WHERE id {in ids}`)

	// Complete, in the handler's transaction: this one waits for its row.
	s.complete = text(`UPDATE {table} SET state = 'done', sent_at = coalesce(sent_at, {now}), finished_at = {now}, refused_at = NULL
WHERE id = {id ?} AND attempt = ? AND {unfinished} RETURNING {micros finished_at}`)
	s.giveUp = text(`UPDATE {table} AS t SET state = 'dead', finished_at = {now}, last_error = ?,
	history = ` + withEvent(d, "t.", event{literal(GivenUp), "t.attempt", "t.holder", "{text ?}", "t.sent_at", "", ""}) + `
WHERE id = {id ?} AND attempt = ? AND {unfinished} RETURNING {micros finished_at}`)
	s.finishedAt = text(`SELECT attempt, {unfinished}, {micros finished_at} FROM {table} WHERE id = {id ?}`)

	s.inbox(text)
	s.holders(d, text)
	s.sweeps(d, text)
	s.balances(d, text)
	s.stats(d, text)

	s.get = text(`SELECT ` + entryColumns + ` FROM {table} WHERE id = {id ?}`)
	s.counts = text(`SELECT state, count(*) FROM {table} GROUP BY state`)
	s.acts(d, text)
	return s
}

func qualified(cfg Config) string {
	if cfg.Schema == "" {
		return `"` + cfg.Table + `"`
	}
	return `"` + cfg.Schema + `"."` + cfg.Table + `"`
}
