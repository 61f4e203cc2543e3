package outbox

// The statements of sweeps: bounded, idempotent, safe to run from every instance.
// Each reads one queue's part of an index, in the index's order, so that it costs
// the same whatever other queues have. What is due for it is told by an age, that
// is how long ago something happened by the database's clock: see type window.

func (s *statements) sweeps(d *dialect, text func(string) string) {
	const nacked, sent = `state = 'nacked'`, `state = 'sent' AND {unfinished}`
	const finished = `finished_at IS NOT NULL AND state <> 'dead'`

	s.nackedQueues = text(queuesOf(d, "{table}", nacked, "due_at"))
	s.rearm = text(picked(`SELECT id FROM {table} WHERE `+nacked+` AND queue = ? AND `+aged("due_at")+`
	ORDER BY queue, due_at, id LIMIT ? {lock}`,
		`UPDATE {table} SET state = 'pending'`))

	s.sentQueues = text(queuesOf(d, "{table}", sent, "seen_at"))
	s.resend = text(picked(`SELECT id FROM {table} WHERE `+sent+` AND queue = ? AND holder IS NULL AND seen_at < {time ?} AND `+aged("seen_at")+`
	ORDER BY queue, seen_at LIMIT ? {lock}`,
		`UPDATE {table} SET state = 'pending', resend = resend + 1, due_at = {now},
	history = `+withEvent(d, "", event{literal(Resent), "attempt", "", "", "sent_at", "", ""})))
	// A job that was sent more than once says nothing about how far its queue
	// has come: an early copy may have been finished.
	s.frontiers = text(`SELECT q.queue, {micros now}, (
	SELECT {micros max(sent_at)} FROM (
		SELECT t.sent_at, t.state, t.resend FROM {table} AS t
		WHERE t.finished_at IS NOT NULL AND t.state <> 'dead' AND t.queue = q.queue AND t.finished_at > {before ?}
		ORDER BY t.queue DESC, t.finished_at DESC LIMIT 100
	) AS recent WHERE state = 'done' AND resend = 0
) FROM {names}`)

	s.finishedQueues = text(queuesOf(d, "{purged}", finished, "finished_at"))
	s.purge = text(picked(`SELECT id FROM {purged} WHERE `+finished+` AND queue = ? AND `+aged("finished_at")+`
	ORDER BY queue, finished_at LIMIT ? {lock delete}`,
		`DELETE FROM {purged}`))
	s.purgeDead = text(picked(`SELECT id FROM {table} WHERE state = 'dead' AND `+aged("finished_at")+`
	ORDER BY finished_at LIMIT ? {lock delete}`,
		`DELETE FROM {table}`))
}

// aged tests that the time in a column is in a window of ages.
func aged(column string) string { return column + ` <= {before ?} AND ` + column + ` > {before ?}` }

// queuesOf lists the queues of the rows that an index on queue and column has,
// from one name on. On PostgreSQL it hops from queue to queue along the index, so
// that its cost is the number of queues and not of rows.
func queuesOf(d *dialect, table, where, column string) string {
	if !d.numbered {
		return `SELECT DISTINCT queue FROM ` + table + ` WHERE ` + where + ` AND queue >= ? AND ` + aged(column) + ` ORDER BY queue LIMIT ?`
	}
	first := `SELECT queue FROM ` + table + ` WHERE ` + where + ` AND queue >= ? AND ` + aged(column) + ` ORDER BY queue, ` + column + ` LIMIT 1`
	next := `SELECT queue FROM ` + table + ` WHERE ` + where + ` AND queue > hop.queue AND ` + aged(column) + ` ORDER BY queue, ` + column + ` LIMIT 1`
	return `WITH RECURSIVE hop AS (
	(` + first + `)
	UNION ALL
	SELECT next.queue FROM hop CROSS JOIN LATERAL (` + next + `) AS next
)
SELECT queue FROM hop LIMIT ?`
}
