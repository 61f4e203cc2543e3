package browser_test

import (
	"github.com/ackbox/ackbox/internal/testenv"
)

// history writes an hour of statistics, so that there is something to draw: a system
// that did well, until its mails failed some minutes ago.
func (s *site) history() {
	s.tb.Helper()
	const rows = `
		WITH minutes AS (
			SELECT m, date_trunc('minute', now()) - m * interval '1 minute' AS at,
				(40 + 18 * sin(m / 6.0) + 9 * cos(m * 2.3))::bigint AS n
			FROM generate_series(1, 59) m
		)
		INSERT INTO ackbox_jobs_stats (span, at, queue, kind, enqueued, sent, refused, done, failed, dead, wait, run)
		SELECT 60, at, q.queue, q.kind, n, n, 0,
			CASE WHEN q.queue = '' THEN 0 WHEN failing THEN n / 5 ELSE n END,
			CASE WHEN failing THEN n ELSE (m % 9 = 0)::int * 2 END,
			CASE WHEN failing THEN n / 6 ELSE 0 END,
			array_fill(0::bigint, ARRAY[7]) || ARRAY[n / 2, n / 3, n / 6, (m % 5 = 0)::int],
			CASE WHEN q.queue = '' THEN '{}'::bigint[] ELSE array_fill(0::bigint, ARRAY[11]) || ARRAY[n / 3, n / 2, n / 6, (m % 4 = 0)::int * 2, 1] END
		FROM minutes, LATERAL (VALUES ('orders', 'order.confirm', m < 9), ('', 'order.placed', false)) AS q (queue, kind, failing)`
	if err := testenv.Postgres(s.tb).Exec(rows).Error; err != nil {
		s.tb.Fatal(err)
	}
}
