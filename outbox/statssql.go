package outbox

import "strings"

// The statements of the statistics: a row for each minute, and each hour, of a queue and
// kind, to which every process adds what it has counted.

// tallies are the columns that only add up.
var tallies = []string{"enqueued", "sent", "refused", "done", "failed", "dead"}

func (s *statements) stats(d *dialect, text func(string) string) {
	columns := strings.Join(tallies, ", ")
	var sums strings.Builder
	for _, name := range tallies {
		sums.WriteString(name + " = s." + name + " + excluded." + name + ", ")
	}
	// The rows come in the order in which they stand in the list.
	const into = `INSERT INTO {stats} AS s (span, at, queue, kind, `
	const key = ` ON CONFLICT (span, at, queue, kind) DO UPDATE SET `
	if d.numbered {
		s.addStats = text(into + columns + `, wait, run)
SELECT span, to_timestamp(at), queue, kind, ` + columns + `, wait, run
FROM jsonb_to_recordset(?::jsonb) AS r(span int, at bigint, queue text, kind text, ` + strings.Join(tallies, " bigint, ") + ` bigint, wait bigint[], run bigint[])` + key + sums.String() + `wait = ` + listSum("wait") + `, run = ` + listSum("run"))
	} else {
		s.addStats = text(into + columns + `, wait, run)
SELECT value ->> 'span', strftime('%Y-%m-%d %H:%M:%f', value ->> 'at', 'unixepoch'), value ->> 'queue', value ->> 'kind', value ->> '` +
			strings.Join(tallies, "', value ->> '") + `', value -> 'wait', value -> 'run'
FROM json_each(?) WHERE true` + key + sums.String() + `wait = ` + jsonSum("wait") + `, run = ` + jsonSum("run"))
	}
	s.stat = text(`SELECT {micros at}, queue, kind, ` + columns + `, {list wait}, {list run} FROM {stats}
WHERE span = ? AND at >= {time ?} AND at < {time ?} AND (? = '' OR queue = ?) AND (? = '' OR kind = ?)
ORDER BY at LIMIT ?`)
	s.purgeStats = text(`WITH picked AS MATERIALIZED (
	SELECT {place} AS place FROM {stats} WHERE span = ? AND at <= {before ?} ORDER BY span, at LIMIT ? {lock delete}
)
DELETE FROM {stats} WHERE {place in picked}`)
}

// listSum adds two lists of numbers up, number by number.
func listSum(column string) string {
	return `coalesce((SELECT array_agg(coalesce(a, 0) + coalesce(b, 0) ORDER BY n)
	FROM unnest(s.` + column + `, excluded.` + column + `) WITH ORDINALITY AS lists(a, b, n)), ARRAY[]::bigint[])`
}

func jsonSum(column string) string {
	return `(SELECT json_group_array(n) FROM (SELECT sum(value) AS n FROM (
		SELECT key, value FROM json_each(s.` + column + `) UNION ALL SELECT key, value FROM json_each(excluded.` + column + `)
	) GROUP BY key ORDER BY key))`
}
