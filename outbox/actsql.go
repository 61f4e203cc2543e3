package outbox

// The statements of what people do to jobs. Each is for some ids, waits for a row that is
// on the wire, locks in the order of ids, as all do, and writes the job's history. Its
// parameters: the ids; the operation, which does nothing twice to the same job; what the
// act needs besides; who, why and the operation, for the history.

func (s *statements) acts(d *dialect, text func(string) string) {
	const waiting = `state || '' IN ('pending', 'nacked')`
	act := func(what Happening, of, set string) string {
		return text(picked(`SELECT id FROM {table} WHERE id {in ids} AND `+of+` AND `+untouched(d)+` ORDER BY id {lock wait}`,
			`UPDATE {table} AS t SET `+set+`, history = `+withAct(d, what)) + ` RETURNING {t.id}`)
	}
	later := "greatest({time ?}, {now})"
	if !d.numbered {
		later = "max({time ?}, {now})"
	}
	s.acting = map[Action]string{
		ActionRequeue: act(Requeued, `state || '' IN ('dead', 'cancelled')`,
			`state = 'pending', attempt = attempt + 1, attempts_before = attempt, publish_attempt = 0, resend = 0,
	due_at = {now}, finished_at = NULL, refused_at = NULL, holder = NULL, started_at = NULL, starts = 0`),
		ActionCancel: act(Cancelled, `state IN ('pending', 'nacked', 'refused')`,
			`state = 'cancelled', finished_at = {now}`),
		ActionRunNow: act(Hastened, waiting+` AND (due_at > {start} OR state || '' = 'nacked')`,
			`state = 'pending', due_at = {now}`),
		ActionReschedule: act(Rescheduled, waiting,
			`state = 'pending', refused_at = NULL, due_at = `+later),
		ActionDelete: text(picked(`SELECT id FROM {table} WHERE id {in ids} AND finished_at IS NOT NULL ORDER BY id {lock wait}`,
			`DELETE FROM {table} AS t`) + ` RETURNING {t.id}`),
	}
	s.record = text(`INSERT INTO {operations} (id, action, ids, queue, state, actor, reason, created_at, updated_at, finished_at, expected, changed, looked_at)
VALUES ({id ?}, ?, {json ?}, ?, ?, ?, ?, {now}, {now}, {now}, ?, ?, ?)`)
	s.begin = text(`INSERT INTO {operations} (id, action, filter, state, actor, reason, created_at, updated_at, expected)
VALUES ({id ?}, ?, {json ?}, 'running', ?, ?, {now}, {now}, ?)`)
	param := d.textParam()
	const updated = `UPDATE {operations} SET updated_at = {now}`
	columns := `{id}, action, ids, coalesce(queue, ''), filter, state, actor, reason, ` +
		d.microsOf("created_at") + `, ` + d.microsOf("updated_at") + `, ` + d.microsOf("finished_at") + `, expected, changed, looked_at, error`
	s.operation = text(`SELECT ` + columns + ` FROM {operations} WHERE id = {id ?}`)
	s.operations = text(`SELECT ` + columns + ` FROM {operations} AS t WHERE t.id < {id ?} ORDER BY t.id DESC LIMIT ?`)
	// A step locks its operation first: each has one at a time, and several of them have
	// theirs beside each other. One whose last step failed is behind all others, and of
	// those the one is next that has waited longest.
	s.carry = text(updated + ` WHERE id = (
	SELECT id FROM {operations} WHERE state = 'running'
	ORDER BY error <> '', CASE WHEN error <> '' THEN updated_at ELSE created_at END, id LIMIT 1 {lock delete}
) RETURNING ` + columns + `, coalesce(` + d.textOf("place") + `, '')`)
	s.carried = text(updated + `, changed = changed + ?, looked_at = looked_at + ?, place = {json ?}, state = ` + param + `, error = ` + param + `,
	finished_at = CASE WHEN ` + param + ` <> 'running' THEN {now} END WHERE id = {id ?}`)
	s.carryFailed = text(updated + `, error = ? WHERE id = {id ?} AND state = 'running'`)
	s.halt = text(updated + `, state = ` + param + `, finished_at = CASE WHEN ` + param + ` <> 'running' THEN {now} END
WHERE id = {id ?} AND filter IS NOT NULL AND state = ` + param + ` RETURNING {id}`)
	s.pause = text(`INSERT INTO {queues} (queue, paused_at, paused_by, reason) VALUES (?, {now}, ?, ?) ON CONFLICT (queue) DO NOTHING`)
	s.resume = text(`DELETE FROM {queues} WHERE queue = ?`)
	s.pauses = text(`SELECT queue, ` + d.microsOf("paused_at") + `, paused_by, reason FROM {queues} ORDER BY queue`)
	s.ready = text(`SELECT {micros now}, ''`)
	if d.numbered {
		s.ready = text(`SELECT {micros now}, set_config('enable_bitmapscan', 'off', true) || set_config('enable_seqscan', 'off', true) || set_config('jit', 'off', true) || set_config('plan_cache_mode', 'force_custom_plan', true)`)
	}
	// The oldest rows alone are looked at: ids are in the order of time.
	s.purgeOperations = text(`DELETE FROM {operations} WHERE id IN (
	SELECT id FROM (SELECT id, finished_at FROM {operations} ORDER BY id LIMIT ?) AS oldest WHERE finished_at <= {before ?}
)`)
}

// untouched tests that an operation has not changed a job yet.
func untouched(d *dialect) string {
	if d.numbered {
		return `NOT coalesce(history @> ?::jsonb, false)`
	}
	return `NOT EXISTS (SELECT 1 FROM json_each(history) AS h WHERE h.value ->> 'operation' = ?)`
}

// ofOperation is the parameter of untouched.
func (d *dialect) ofOperation(id string) string {
	if d.numbered {
		return `[{"operation": "` + id + `"}]`
	}
	return id
}

// withAct is a row's history with an act of people added, of which parameters say who, why
// and in which operation.
func withAct(d *dialect, what Happening) string {
	text := d.textParam()
	return withEvent(d, "t.", event{what: literal(what), attempt: "t.attempt", by: "nullif(" + text + ", '')", err: text, operation: text})
}

// textParam is a parameter where nothing else says that it is text.
func (d *dialect) textParam() string {
	if d.numbered {
		return "?::text"
	}
	return "?"
}

// textOf reads JSON as text.
func (d *dialect) textOf(column string) string {
	if d.numbered {
		return column + "::text"
	}
	return column
}

// microsOf reads a time as dbTime scans it.
func (d *dialect) microsOf(column string) string {
	if d.numbered {
		return micros(column)
	}
	return column
}
