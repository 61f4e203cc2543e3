package outbox

import (
	"strconv"
	"strings"

	"github.com/ackbox/ackbox"
)

// way is how rows of a list are read: along an index, in its order.
type way struct {
	// where is the condition of the partial index.
	where string
	// column is the time by which it is ordered, after the queue if queues is set; empty
	// where it is the id alone.
	column string
	// newestFirst reads it backwards.
	newestFirst bool
	// queues is the statement that lists the queues which an index has that begins with one.
	queues string
	// page reads rows, count counts them; see newWay.
	page, count string
}

// ways are those of the lists.
type ways struct {
	byState map[ackbox.State]*way
	// sentEvents are publish-only messages, which end at sent.
	sentEvents, running, byKey, all *way
	givenUp, entries                string

	// For QueueStatus: the queues that have unfinished jobs, and those that are known
	// otherwise; how each stands.
	byQueue                     []string
	moreQueues, status          string
	deadByQueue, runningByQueue string
}

// matches is the part of a filter that no index serves, five values, each twice.
const matches = `(? = '' OR t.kind = ?) AND (? = '' OR t.queue = ?) AND (? = '' OR t.key = ?) AND (? = '' OR t.state = ?) AND (? = '' OR {has})`

// between are a filter's times.
const between = `t.{at} >= {time ?} AND t.{at} < {time ?}`

func newWays(d *dialect, text func(string) string) *ways {
	along := func(where, column string, newestFirst, queues bool) *way {
		w := &way{where: where, column: column, newestFirst: newestFirst}
		if queues && d.numbered {
			w.queues = text(queuesOf(d, "{table}", strings.ReplaceAll(where, "t.", ""), column))
		}
		w.page, w.count = text(w.pageOf()), text(w.countOf())
		return w
	}
	w := &ways{}
	w.standings(d, text)
	finished := `t.finished_at IS NOT NULL AND t.state <> 'dead'`
	w.byState = map[ackbox.State]*way{
		ackbox.Pending:   along(`t.state = 'pending'`, "due_at", false, true),
		ackbox.Nacked:    along(`t.state = 'nacked'`, "due_at", false, true),
		ackbox.Refused:   along(`t.state = 'refused'`, "due_at", false, true),
		ackbox.Sent:      along(`t.state = 'sent' AND t.finished_at IS NULL`, "seen_at", false, true),
		ackbox.Done:      along(finished, "finished_at", true, true),
		ackbox.Cancelled: along(`t.state = 'cancelled'`, "finished_at", true, false),
		ackbox.Dead:      along(`t.state = 'dead'`, "finished_at", true, false),
	}
	w.sentEvents = along(finished+` AND t.queue = ''`, "finished_at", true, false)
	// There are as many as handlers run, which an index lists in no order.
	w.running = along(isRunning, "started_at", false, false)
	w.byKey = along(`t.key = ?`, "", true, false)
	w.all = along(`true`, "", true, false)
	w.givenUp = text(`SELECT kind, why, count(*), {micros min(at)}, {micros max(at)}, max(id), sum(count(*)) OVER () FROM (
	SELECT {t.id} AS id, t.kind, {first line} AS why, t.finished_at AS at, (` + matches + `) AS match
	FROM {table} AS t WHERE t.state = 'dead' AND ` + strings.ReplaceAll(between, "{at}", "finished_at") + `
	ORDER BY t.finished_at DESC, t.id DESC LIMIT ` + searchedText + `
) AS newest WHERE match GROUP BY kind, why ORDER BY count(*) DESC, max(at) DESC LIMIT 200`)
	w.entries = text(`SELECT ` + entryColumns + ` FROM {table} WHERE id {in ids}`)
	return w
}

const isRunning = `t.holder IS NOT NULL AND t.finished_at IS NULL AND t.started_at IS NOT NULL`

// standings are the statements of QueueStatus. The numbers of a queue are counted along its
// place in an index, up to a bound each.
func (w *ways) standings(d *dialect, text func(string) string) {
	for _, index := range []struct{ where, column string }{
		{`state = 'pending'`, "due_at"}, {`state = 'nacked'`, "due_at"}, {`state = 'refused'`, "due_at"},
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

const (
	// maxSearched is how many rows a call of List, Count or GivenUp looks at.
	maxSearched = 10_000
	// maxError is how much of an error's first line makes a group.
	maxError = 200
)

var searchedText = strconv.Itoa(maxSearched)

// pageOf reads the ids of rows behind a place, in order, and whether they match; of each
// queue a number of them. Its parameters are the names of queues where there are some, the
// key where that is asked for, the filter's, the place, the times, and the number.
func (w *way) pageOf() string {
	order, compare := "", ">"
	if w.newestFirst {
		order, compare = " DESC", "<"
	}
	if w.column == "" {
		return `SELECT '' AS queue, {t.id}, {micros t.created_at}, (` + matches + ` AND ` + strings.ReplaceAll(between, "{at}", "created_at") + `)
FROM {table} AS t WHERE ` + w.where + ` AND t.id < {id ?} ORDER BY t.id DESC LIMIT ?`
	}
	rows := func(queue string) string {
		first := ""
		if queue != "" {
			first, queue = "t.queue"+order+", ", " AND t.queue = "+queue
		}
		return `SELECT t.id, t.` + w.column + ` AS at, (` + matches + `) AS match
	FROM {table} AS t WHERE ` + w.where + queue + ` AND (t.` + w.column + `, t.id) ` + compare + ` ({time ?}, {id ?}) AND ` +
			strings.ReplaceAll(between, "{at}", w.column) + `
	ORDER BY ` + first + `t.` + w.column + order + `, t.id` + order + ` LIMIT ?`
	}
	if w.queues == "" {
		return `SELECT '' AS queue, {id}, {micros at}, match FROM (` + rows("") + `) AS r ORDER BY at` + order + `, id` + order
	}
	return `SELECT q.queue, r.id::text, {micros at}, match FROM {names}, LATERAL (` + rows("q.queue") + `) AS r ORDER BY at` + order + `, id` + order
}

// countOf counts rows, and those that match, up to a number of them. Its parameters are the
// key where that is asked for, the filter's, the times, the queue twice, and the number.
func (w *way) countOf() string {
	column := w.column
	if column == "" {
		column = "created_at"
	}
	return `SELECT count(*), coalesce(sum(CASE WHEN match THEN 1 ELSE 0 END), 0) FROM (SELECT (` + matches + `) AS match
	FROM {table} AS t WHERE ` + w.where + ` AND ` + strings.ReplaceAll(between, "{at}", column) + ` AND (? = '' OR t.queue = ?) LIMIT ?) AS r`
}
