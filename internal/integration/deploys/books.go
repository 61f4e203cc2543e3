//go:build unix

package deploys

import (
	"context"
	"fmt"

	"github.com/ackbox/ackbox/internal/integration/shop"
)

const schema = `
CREATE TABLE IF NOT EXISTS deploys_kills (instance text PRIMARY KEY, at timestamptz NOT NULL);
CREATE INDEX IF NOT EXISTS deploys_runs_job ON shop_runs (job)`

const (
	// charged are the tries that the ledger has charged.
	charged = `SELECT j.id AS job, n AS attempt FROM ackbox_jobs AS j, generate_series(1, j.attempt - 1) AS n`
	// failures are the tries that had to be charged: those of which a run failed, and of
	// the charged ones those that were cut short as often as worker.Config.MaxStarts
	// allows by default. (Which of these had to be cannot be told from here: a run that
	// was cut short within its first second may not have been counted.)
	failures = `SELECT job, attempt FROM shop_runs WHERE outcome = '` + shop.OutcomeFailed + `'
		UNION (SELECT job, attempt FROM shop_runs WHERE ended IS NULL GROUP BY job, attempt HAVING count(*) >= 20
			INTERSECT ` + charged + `)`
	// periods are the runs of jobs that ran more than once.
	periods = `SELECT r.job, r.id, r.instance, r.at AS began, greatest(r.at, coalesce(r.ended, k.at, 'infinity')) AS ended
		FROM shop_runs AS r LEFT JOIN deploys_kills AS k USING (instance)
		WHERE r.job IN (SELECT job FROM shop_runs GROUP BY job HAVING count(*) > 1)`
	overlapping = `FROM (` + periods + `) AS a JOIN (` + periods + `) AS b
		ON a.job = b.job AND a.id < b.id AND a.began < b.ended AND b.began < a.ended`
	story = `SELECT concat_ws(E'\n  ', x.job, 'row: ' || (SELECT (to_jsonb(j) - 'payload')::text FROM ackbox_jobs AS j WHERE j.id = x.job),
		'runs: ' || (SELECT string_agg(concat_ws(' ', r.attempt, r.instance, r.at, 'to', r.ended, 'killed ' || k.at, r.outcome, r.error), E'\n    ' ORDER BY r.at)
			FROM shop_runs AS r LEFT JOIN deploys_kills AS k USING (instance) WHERE r.job = x.job)) `
)

// result reads the books.
func (r *run) result(ctx context.Context) (Result, error) {
	res := Result{
		Seed: r.cfg.Seed, Minutes: r.cfg.Duration.Minutes(),
		Graceful: r.fleet.graceful, Killed: r.fleet.killed,
	}
	db := r.app.DB.WithContext(ctx)
	var err error
	if res.Audit, err = shop.Take(ctx, db); err != nil {
		return Result{}, err
	}
	for _, q := range []struct {
		into  *int
		query string
	}{
		{&res.Charged, `SELECT count(*) FROM (` + charged + `) AS c`},
		{&res.Failures, `SELECT count(*) FROM (` + failures + `) AS f`},
		{&res.Unearned, `SELECT count(*) FROM (` + charged + ` EXCEPT (` + failures + `)) AS u`},
		{&res.Uncharged, `SELECT count(*) FROM ((` + failures + `) EXCEPT ` + charged + `) AS u`},
		{&res.Overlaps, `SELECT count(*) ` + overlapping},
		{&res.CutShort, `SELECT count(*) FROM shop_runs WHERE ended IS NULL`},
		{&res.Interrupted, `SELECT count(*) FROM shop_runs WHERE outcome = '` + shop.OutcomeInterrupted + `'`},
	} {
		if err := db.Raw(q.query).Scan(q.into).Error; err != nil {
			return Result{}, fmt.Errorf("deploys: read the books: %w", err)
		}
	}
	for _, query := range []string{
		story + `FROM (` + charged + ` EXCEPT (` + failures + `)) AS x LIMIT 5`,
		story + `FROM ((` + failures + `) EXCEPT ` + charged + `) AS x LIMIT 5`,
		story + `FROM (SELECT DISTINCT a.job ` + overlapping + `) AS x LIMIT 5`,
	} {
		var some []string
		if err := db.Raw(query).Scan(&some).Error; err != nil {
			return Result{}, fmt.Errorf("deploys: read the books: %w", err)
		}
		res.Stories = append(res.Stories, some...)
	}
	return res, nil
}
