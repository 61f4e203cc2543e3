package outbox

import "strconv"

// The statements of Balances. Each reads a part of an index, and counts no further than
// balanceLimit.
func (s *statements) balances(d *dialect, text func(string) string) {
	const (
		late       = `state = 'pending' AND queue = ? AND due_at <= {before ?}`
		adrift     = `state = 'sent' AND {unfinished} AND queue = ? AND seen_at <= {before ?} AND holder IS NULL`
		held       = `holder IS NOT NULL AND {unfinished} AND queue = ?`
		unroutable = `state = 'refused' AND queue = ?`
	)
	counted := func(where string) string {
		return `(SELECT count(*) FROM (SELECT 1 AS one FROM {table} WHERE ` + where + ` LIMIT ` + strconv.Itoa(balanceLimit) + `) AS counted)`
	}
	s.balance = text(`SELECT ` + counted(late) + `, ` + counted(adrift) + `, ` + counted(held) + `, ` + counted(unroutable))

	suspects := func(where, since, order string) string {
		return text(`SELECT {id}, kind, ` + since + `, {holder}, starts FROM {table} AS t WHERE ` + where + ` ORDER BY ` + order + ` LIMIT ?`)
	}
	s.late = suspects(late, `{micros due_at}`, `queue, due_at, id`)
	s.adrift = suspects(adrift, `{micros seen_at}`, `queue, seen_at`)
	s.orphaned = suspects(held+` AND `+dead(d, "t.holder"), `{micros seen_at}`, `seen_at`)
	s.crashing = suspects(held+` AND starts >= ?`, `{micros started_at}`, `seen_at`)
	s.unroutable = suspects(unroutable, `{micros refused_at}`, `queue, due_at, id`)
	s.refusedQueues = text(queuesOf(d, "{table}", `state = 'refused'`, "due_at"))
}
