package outbox

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"

	"github.com/ackbox/ackbox"
)

// way is how rows of a list are read: along an index, in its order.
type way struct {
	// where is the condition of the partial index.
	where string
	// column is the time by which it is ordered, after the queue if byQueue is set. Where
	// none is there, the order is that of ids, and created_at stands for it.
	column  string
	byQueue bool
	// newestFirst reads it backwards.
	newestFirst bool
	// queues is the statement that lists the queues which an index has that begins with
	// one; empty on a database that has no use for it.
	queues string
	// state is that of all rows there; empty where there are several.
	state ackbox.State
	// keyed ways are for one key.
	keyed bool
}

// ways are those of the lists.
type ways struct {
	byState map[ackbox.State]*way
	// sentEvents are publish-only messages, which end at sent.
	sentEvents, running, byKey, all *way
	entries                         string

	// For QueueStatus: the queues that have unfinished jobs, and those that are known
	// otherwise; how each stands.
	byQueue                     []string
	moreQueues, status          string
	deadByQueue, runningByQueue string
}

func newWays(d *dialect, text func(string) string) *ways {
	along := func(where, column string, newestFirst, byQueue bool) *way {
		w := &way{where: where, column: column, newestFirst: newestFirst, byQueue: byQueue}
		if byQueue && d.numbered {
			w.queues = text(queuesOf(d, "{table}", strings.ReplaceAll(where, "t.", ""), column))
		}
		return w
	}
	w := &ways{}
	w.standings(d, text)
	const finished = `t.finished_at IS NOT NULL AND t.state <> 'dead'`
	w.byState = map[ackbox.State]*way{
		ackbox.Pending:   along(`t.state = 'pending'`, "due_at", false, true),
		ackbox.Nacked:    along(`t.state = 'nacked'`, "due_at", false, true),
		ackbox.Refused:   along(`t.state = 'refused'`, "due_at", false, true),
		ackbox.Sent:      along(`t.state = 'sent' AND t.finished_at IS NULL`, "seen_at", false, true),
		ackbox.Done:      along(finished, "finished_at", true, true),
		ackbox.Cancelled: along(`t.state = 'cancelled'`, "finished_at", true, false),
		ackbox.Dead:      along(`t.state = 'dead'`, "finished_at", true, false),
	}
	for state, way := range w.byState {
		if state != ackbox.Done {
			way.state = state
		}
	}
	w.sentEvents = along(finished+` AND t.queue = ''`, "finished_at", true, false)
	// There are as many as handlers run, which an index lists in no order.
	w.running = along(isRunning, "started_at", false, false)
	w.byKey = along(`t.key = ?`, "", true, false)
	w.byKey.keyed = true
	w.all = along(`true`, "", true, false)
	w.entries = text(`SELECT ` + entryColumns + ` FROM {table} WHERE id {in ids}`)
	return w
}

const isRunning = `t.holder IS NOT NULL AND t.finished_at IS NULL AND t.started_at IS NOT NULL`

// standings are the statements of QueueStatus. The numbers of a queue are counted along its
// place in an index, up to a bound each.
func (w *ways) standings(d *dialect, text func(string) string) {
	for _, index := range []struct{ where, column string }{
		{`state = 'pending'`, "due_at"},
		{`state = 'nacked'`, "due_at"},
		{`state = 'refused'`, "due_at"},
		{`state = 'sent' AND finished_at IS NULL`, "seen_at"},
	} {
		w.byQueue = append(w.byQueue, text(queuesOf(d, "{table}", index.where, index.column)))
	}
	w.moreQueues = text(`SELECT queue, 0 FROM {queues} UNION SELECT e.value, 0 FROM {instances} AS i, {queues of i} WHERE i.role = 'worker' AND i.seen_at > {silent}`)
	number := func(where string) string {
		return `(SELECT count(*) FROM (SELECT 1 FROM {table} AS t WHERE ` + where + ` AND t.queue = q.queue LIMIT ?) AS r)`
	}
	oldest := func(where, column string) string {
		return `(SELECT {micros t.` + column + `} FROM {table} AS t WHERE ` + where + ` AND t.queue = q.queue ORDER BY t.queue, t.` + column + ` LIMIT 1)`
	}
	due, later := `t.state = 'pending' AND t.due_at <= {start}`, `t.state = 'pending' AND t.due_at > {start}`
	sent := `t.state = 'sent' AND t.finished_at IS NULL`
	w.status = text(`SELECT q.queue, ` + number(due) + `, ` + number(later) + `, ` + number(`t.state = 'nacked'`) + `, ` +
		number(`t.state = 'refused'`) + `, ` + number(sent) + `, ` + oldest(due, "due_at") + `, ` + oldest(sent, "seen_at") + `,
	(SELECT count(*) FROM {instances} AS i WHERE i.role = 'worker' AND i.seen_at > {silent} AND {one of i.queues}),
	{micros p.paused_at}, p.paused_by, p.reason
FROM {names} LEFT JOIN {queues} AS p ON p.queue = q.queue ORDER BY q.queue`)
	w.deadByQueue = text(`SELECT queue, count(*) FROM (
	SELECT queue FROM {table} WHERE state = 'dead' ORDER BY finished_at DESC, id DESC LIMIT ` + searchedText + `
) AS newest GROUP BY queue`)
	w.runningByQueue = text(`SELECT queue, count(*) FROM (
	SELECT t.queue FROM {table} AS t WHERE ` + isRunning + ` LIMIT ` + searchedText + `
) AS r GROUP BY queue`)
}

// maxSearched is how many rows a call of List, Count or GivenUp looks at.
const maxSearched = 10_000

var searchedText = strconv.Itoa(maxSearched)

// query is a statement that is put together, with its parameters beside it.
type query struct {
	text strings.Builder
	args []any
}

func (q *query) add(text string, args ...any) *query {
	q.text.WriteString(text)
	q.args = append(q.args, args...)
	return q
}

// matches adds the test of f that no index serves, which is asked of each row that is
// looked at. What is not set is not in it: of such rows an index alone may tell enough.
func (q *query) matches(f Filter, w *way) *query {
	if w.keyed {
		f.Key = ""
	}
	if f.State == w.state {
		f.State = ""
	}
	and := ""
	for _, test := range []struct{ text, value string }{
		{"t.kind = ?", f.Kind}, {"t.queue = ?", f.Queue}, {"t.key = ?", f.Key}, {"t.state || '' = ?", string(f.State)}, {"{has}", f.Error},
	} {
		if test.value != "" {
			q.add(and+test.text, test.value)
			and = " AND "
		}
	}
	if and == "" {
		q.add("true")
	}
	return q
}

// between adds f's bounds of a time, where it has any.
func (q *query) between(d *dialect, f Filter, column string) *query {
	if !f.After.IsZero() {
		q.add(" AND t."+column+" >= {time ?}", d.timeParam(f.After))
	}
	if !f.Before.IsZero() {
		q.add(" AND t."+column+" < {time ?}", d.timeParam(f.Before))
	}
	return q
}

// time is the column by which f's times are compared.
func (w *way) time() string {
	if w.column == "" {
		return "created_at"
	}
	return w.column
}

// order is that of the index, for one queue if it has those, and without the id that some
// of them lack.
func (w *way) order() string {
	direction := ""
	if w.newestFirst {
		direction = " DESC"
	}
	switch {
	case w.column == "":
		return " ORDER BY t.id" + direction
	case w.byQueue:
		return " ORDER BY t.queue" + direction + ", t." + w.column + direction
	}
	return " ORDER BY t." + w.column + direction
}

// pageOf reads the ids of rows behind a place, in the order of the list, and whether they
// match; of each of queues so many, if the way has those.
func (w *way) pageOf(d *dialect, f Filter, from bookmark, queues string, each int) *query {
	q := &query{}
	direction, compare := "", ">"
	if w.newestFirst {
		direction, compare = " DESC", "<"
	}
	if w.queues == "" {
		q.add(`SELECT '' AS queue, {id}, {micros at}, match FROM (`)
	} else {
		q.add(`SELECT q.queue, r.id::text, {micros at}, match FROM {names}, LATERAL (`, queues)
	}
	q.add(`SELECT t.id, t.`+w.time()+` AS at, (`).matches(f, w).add(`) AS match
	FROM {table} AS t WHERE ` + w.where)
	if w.keyed {
		q.args = append(q.args, f.Key)
	}
	order := w.order()
	switch {
	case w.queues != "":
		q.add(` AND t.queue = q.queue`)
		order += ", t.id" + direction
	case w.column != "": // of all queues at once, in the order of the list
		order = " ORDER BY t." + w.column + direction + ", t.id" + direction
	}
	switch {
	case from.ID == "":
	case w.column == "":
		q.add(` AND t.id `+compare+` {id ?}`, from.ID)
	default:
		q.add(` AND (t.`+w.column+`, t.id) `+compare+` ({time ?}, {id ?})`, d.timeParam(time.UnixMicro(from.At)), from.ID)
	}
	q.between(d, f, w.time()).add(order+` LIMIT ?) AS r`, each)
	if w.column == "" {
		return q.add(` ORDER BY r.id` + direction)
	}
	return q.add(` ORDER BY at` + direction + `, r.id` + direction)
}

// countOf counts rows, and those that match, up to a number of them.
func (w *way) countOf(d *dialect, f Filter, most int) *query {
	q := &query{}
	q.add(`SELECT count(*), coalesce(sum(CASE WHEN match THEN 1 ELSE 0 END), 0) FROM (SELECT (`).matches(f, w).add(`) AS match
	FROM {table} AS t WHERE ` + w.where)
	if w.keyed {
		q.args = append(q.args, f.Key)
	}
	if w.byQueue && f.Queue != "" {
		q.add(` AND t.queue = ?`, f.Queue)
	}
	return q.between(d, f, w.time()).add(w.order()+` LIMIT ?) AS r`, most)
}

// givenUpOf groups the newest dead jobs.
func givenUpOf(d *dialect, dead *way, f Filter) *query {
	q := &query{}
	q.add(`SELECT kind, why, count(*), {micros min(at)}, {micros max(at)}, max(id), sum(count(*)) OVER () FROM (
	SELECT {t.id} AS id, t.kind, {first line} AS why, t.finished_at AS at, (`).matches(f, dead).add(`) AS match
	FROM {table} AS t WHERE t.state = 'dead'`)
	return q.between(d, f, "finished_at").add(`
	ORDER BY t.finished_at DESC, t.id DESC LIMIT ` + searchedText + `
) AS newest WHERE match GROUP BY kind, why ORDER BY count(*) DESC, max(at) DESC LIMIT 200`)
}

// run runs q, which is put together here and not when the Store is made.
func (s *Store) run(ctx context.Context, c conn, q *query) (*sql.Rows, error) {
	return c.QueryContext(ctx, s.sql.text(q.text.String()), q.args...)
}
