package outbox

import "strings"

// The statements about who has a job in hand. An instance is dead if it has left, or if
// it has been silent for a while during which another was not: when the database could
// not be written by anybody, nobody has died.

// witness is somebody who could write all the time.
const witness = `EXISTS (SELECT 1 FROM {instances} AS w WHERE w.since <= {silent} AND w.seen_at > {silent})`

// living lists all others.
const living = `SELECT i.id FROM {instances} AS i WHERE i.seen_at > {silent} OR NOT ` + witness

// dead tests whether a holder's instance is. The list is read once for a statement; as a
// subquery it would be charged to each row, and planners would rather read the table.
func dead(d *dialect, holder string) string {
	if !d.numbered {
		return holder + ` NOT IN (` + living + `)`
	}
	return holder + ` <> ALL (ARRAY(` + living + `))`
}

// free tests that no other instance than own runs the job of t, as far as is known:
// what waits elsewhere may be run by whoever can.
func free(d *dialect, own string) string {
	return `(t.holder IS NULL OR t.holder = ` + own + ` OR t.started_at IS NULL OR ` + dead(d, "t.holder") + `)`
}

// breathing tests that the asking instance is alive for the others, too: what it
// wrote its name on would be taken from it at once otherwise.
const breathing = `EXISTS (SELECT 1 FROM {instances} AS o WHERE o.id = {id ?} AND o.seen_at > {silent})`

// letGo is what an instance leaves behind of a job that it holds no more: its message
// may be on its way, so the sweep for lost jobs is to wait from now on.
const letGo = `holder = NULL, started_at = NULL, seen_at = {now}`

func (s *statements) holders(d *dialect, text func(string) string) {
	const held = `holder = {id ?} AND {unfinished}`
	s.beat = text(`INSERT INTO {instances} AS i (id, role, host, pid, queues, detail, started_at, since, seen_at)
VALUES ({id ?}, ?, ?, ?, {json ?}, {json ?}, {start}, {start}, {start})
ON CONFLICT (id) DO UPDATE SET role = excluded.role, host = excluded.host, pid = excluded.pid, queues = excluded.queues, detail = excluded.detail,
	since = CASE WHEN i.seen_at < {silent} THEN excluded.since ELSE i.since END, seen_at = excluded.seen_at
RETURNING (SELECT count(*) FROM {instances} AS n WHERE n.role = 'sweeper' AND n.seen_at > {before ?}),
	(SELECT {list of queue} FROM (SELECT queue FROM {queues} ORDER BY queue LIMIT 1000) AS paused), {micros now}`)
	s.instances = text(`SELECT {id}, role, host, pid, queues, detail, {micros started_at}, {micros seen_at},
	i.seen_at > {silent} OR NOT ` + witness + `
FROM {instances} AS i ORDER BY role, host, pid, id LIMIT ?`)
	s.breathing = text(`SELECT ` + breathing)

	// Of a job that somebody has locked nothing is said: its holder is gone.
	s.giveBack = text(picked(`SELECT id FROM {table} WHERE `+held+` ORDER BY id {lock hand}`,
		`UPDATE {table} SET `+letGo+`, starts = CASE WHEN started_at IS NOT NULL AND starts > 0 THEN starts - 1 ELSE starts END`))
	s.leave = text(`DELETE FROM {instances} WHERE id = {id ?}`)
	s.reconcile = text(picked(`SELECT id FROM {table} WHERE `+held+` AND seen_at <= {before ?} AND id {not in ids} ORDER BY id {lock hand}`,
		`UPDATE {table} SET `+letGo))

	s.start = text(`WITH locked AS (
	SELECT t.id FROM {table} AS t JOIN {copies} ON r.id = t.id AND r.attempt = t.attempt AND r.resend = t.resend
	WHERE t.{unfinished} AND ` + free(d, "{id ?}") + ` AND ` + breathing + ` ORDER BY t.id {lock hand t}
)
UPDATE {table} AS t SET holder = {id ?}, started_at = {now}, seen_at = {now},
	starts = t.starts + CASE WHEN t.holder = {id ?} AND t.started_at IS NOT NULL THEN 0 ELSE 1 END
FROM locked AS l WHERE t.id = l.id RETURNING {t.id}, attempt, resend, starts`)
	if d.numbered { // elsewhere no dispatcher locks anything
		s.onWire = text(`SELECT {id} FROM {table} WHERE id {in ids} AND state IN ('pending', 'nacked') FOR KEY SHARE SKIP LOCKED`)
	}
	// Whatever copy it is that runs, the job runs; of those that wait the newest counts.
	s.hold = text(`WITH locked AS (
	SELECT t.id, r.running_ms FROM {table} AS t JOIN {copies} ON r.id = t.id AND r.attempt = t.attempt AND (r.resend = t.resend OR r.running_ms > 0)
	WHERE t.{unfinished} AND ` + free(d, "{id ?}") + ` AND ` + breathing + ` ORDER BY t.id {lock hand t}
)
UPDATE {table} AS t SET holder = {id ?}, seen_at = {now},
	started_at = CASE WHEN t.holder = {id ?} AND t.started_at IS NOT NULL THEN t.started_at WHEN l.running_ms > 0 THEN {ago l.running_ms} END,
	starts = t.starts + CASE WHEN t.holder = {id ?} AND t.started_at IS NOT NULL THEN 0 WHEN l.running_ms > 0 THEN 1 ELSE 0 END
FROM locked AS l WHERE t.id = l.id RETURNING {t.id}`)
	s.refused = text(refusedOf(d))

	s.takeBack = text(takeBackOf(d))
	s.forget = text(`DELETE FROM {instances} WHERE seen_at <= {before ?} AND ` + witness)
	s.pendingQueues = text(queuesOf(d, "{table}", `state = 'pending'`, "due_at"))
	s.unattended = text(unattended)
}

// refusedOf takes refused jobs of some queues that nobody has in hand.
func refusedOf(d *dialect) string {
	const of = `SELECT t.id FROM {table} AS t WHERE t.state = 'refused' AND t.holder IS NULL AND t.queue `
	from := `SELECT job.id FROM {names} CROSS JOIN LATERAL (` + of + `= q.queue ORDER BY t.due_at, t.id LIMIT ? {lock hand}) AS job WHERE ` + breathing + ` LIMIT ?`
	if !d.numbered {
		from = of + `IN (SELECT q.queue FROM {names}) AND ` + breathing + ` ORDER BY t.due_at, t.id LIMIT ?`
	}
	return picked(from, `UPDATE {table} SET holder = {id ?}, started_at = {now}, seen_at = {now}, starts = starts + 1`) +
		` RETURNING ` + textColumns + `, {ms since refused_at}`
}

// takeBackOf takes jobs from dead holders. Which holders there are is read by hopping
// along the index, so that what the living hold costs nothing. What runs is sent again
// at once, but for a refused job, which is not to be sent; a message that only waited
// may be in its queue again.
func takeBackOf(d *dialect) string {
	const held = `holder IS NOT NULL AND {unfinished}`
	from := `SELECT id FROM {table} AS t WHERE ` + held + ` AND ` + dead(d, "holder") + ` ORDER BY id LIMIT ?`
	if d.numbered {
		from = `SELECT job.id FROM hop CROSS JOIN LATERAL (
		SELECT t.id FROM {table} AS t WHERE t.holder = hop.holder AND t.{unfinished} LIMIT ? {lock hand}
	) AS job WHERE ` + dead(d, "hop.holder") + ` LIMIT ?`
	}
	const sent = `started_at IS NOT NULL AND state <> 'refused'`
	query := picked(from, `UPDATE {table} SET state = CASE WHEN `+sent+` THEN 'pending' ELSE state END,
	resend = CASE WHEN `+sent+` THEN resend + 1 ELSE resend END,
	due_at = CASE WHEN `+sent+` THEN {now} ELSE due_at END,
	history = CASE WHEN `+sent+` THEN `+withEvent(d, "", event{literal(TakenBack), "attempt", "holder", "", "sent_at", "", ""})+` ELSE history END,
	`+letGo)
	if !d.numbered {
		return query
	}
	return strings.Replace(query, "WITH ", `WITH RECURSIVE hop AS (
	(SELECT holder FROM {table} WHERE `+held+` ORDER BY holder LIMIT 1)
	UNION ALL
	SELECT next.holder FROM hop CROSS JOIN LATERAL (
		SELECT t.holder FROM {table} AS t WHERE t.holder > hop.holder AND t.{unfinished} ORDER BY t.holder LIMIT 1
	) AS next
), `, 1)
}

// unattended counts, for some queues, what is due and what was sent long ago, if
// nothing of them was sent lately, and if nobody living consumes them. What people have
// paused waits because they want it to.
const unattended = `SELECT q.queue, CASE WHEN EXISTS (
		SELECT 1 FROM {table} AS t WHERE t.state = 'sent' AND t.{unfinished} AND t.queue = q.queue AND t.seen_at > {before ?}
	) OR EXISTS (
		SELECT 1 FROM (SELECT t.sent_at FROM {table} AS t WHERE t.finished_at IS NOT NULL AND t.state <> 'dead' AND t.queue = q.queue
			ORDER BY t.queue DESC, t.finished_at DESC LIMIT 100) AS recent WHERE sent_at > {before ?}
	) THEN 0 ELSE (
		SELECT count(*) FROM (SELECT 1 FROM {table} AS t
			WHERE t.state = 'pending' AND t.queue = q.queue AND t.due_at <= {before ?} AND t.holder IS NULL
			ORDER BY t.queue, t.due_at, t.id LIMIT 1000) AS due
	) END, CASE WHEN EXISTS (
		SELECT 1 FROM {instances} AS i WHERE i.role = 'worker' AND {one of i.queues} AND (i.seen_at > {silent} OR NOT ` + witness + `)
	) THEN 0 ELSE (
		SELECT count(*) FROM (SELECT 1 FROM {table} AS t
			WHERE t.state = 'sent' AND t.{unfinished} AND t.queue = q.queue AND t.seen_at <= {before ?} AND t.holder IS NULL
			ORDER BY t.queue, t.seen_at LIMIT 1000) AS sent
	) END
FROM {names} WHERE q.queue NOT IN (SELECT p.queue FROM {queues} AS p)`
