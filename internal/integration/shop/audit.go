package shop

import (
	"context"
	"fmt"
	"strings"

	"gorm.io/gorm"
)

const schema = `
CREATE TABLE IF NOT EXISTS shop_orders   (id text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS shop_expected (job uuid PRIMARY KEY, order_id text NOT NULL, kind text NOT NULL, final text NOT NULL);
CREATE TABLE IF NOT EXISTS shop_runs     (job uuid NOT NULL, attempt int NOT NULL, instance text NOT NULL, at timestamptz NOT NULL DEFAULT now(),
	-- Of Config.Accounts: how the run ended. One without an end was ended by the end of its process.
	id uuid, ended timestamptz, outcome text, error text);
CREATE INDEX IF NOT EXISTS shop_runs_id ON shop_runs (id) WHERE id IS NOT NULL;
-- No key: what is done twice must be there twice.
CREATE TABLE IF NOT EXISTS shop_effects  (job uuid NOT NULL, kind text NOT NULL, action text NOT NULL, at timestamptz NOT NULL DEFAULT now());
CREATE INDEX IF NOT EXISTS shop_effects_job ON shop_effects (job)`

// Setup makes the shop's tables and the jobs table.
func (a *App) Setup(ctx context.Context) error {
	if err := a.DB.WithContext(ctx).Exec(schema).Error; err != nil {
		return fmt.Errorf("shop: make its tables: %w", err)
	}
	return a.Store.Migrate(ctx)
}

// Audit is what the tables say.
type Audit struct {
	Orders, Jobs int
	// Unfinished jobs are in no final state (yet).
	Unfinished int
	// Lost jobs have no row any more, have ended in a state that their plan does
	// not lead to, or have ended without having had an effect.
	Lost int
	// Phantoms are rows, runs and effects of jobs that no committed transaction
	// has asked for.
	Phantoms int
	// DuplicateRuns are runs of one try beyond its first.
	DuplicateRuns int
	// DuplicateEffects are effects beyond the first, of jobs that are to have
	// exactly one.
	DuplicateEffects int
	// Resent copies were sent because an earlier one may have been lost.
	Resent int
	// Examples tell of the first few jobs that Err complains about.
	Examples []string
}

const (
	lost = `FROM shop_expected AS e LEFT JOIN ackbox_jobs AS j ON j.id = e.job
		WHERE j.id IS NULL OR j.finished_at IS NOT NULL AND (j.state <> e.final
			OR e.final IN ('done', 'dead') AND NOT EXISTS (SELECT FROM shop_effects AS x WHERE x.job = e.job
				AND x.action = CASE e.final WHEN 'done' THEN 'consume' ELSE 'fail' END))`
	twice = `FROM shop_effects WHERE kind = 'shop.charge' GROUP BY job`
	story = `SELECT concat_ws(E'\n  ', e.job, e.kind || ', to end ' || e.final, 'row: ' || (to_jsonb(j) - 'payload')::text,
		'runs: ' || (SELECT jsonb_agg(r)::text FROM shop_runs AS r WHERE r.job = e.job),
		'effects: ' || (SELECT jsonb_agg(x)::text FROM shop_effects AS x WHERE x.job = e.job)) `
)

// Take reads the tables through db.
func Take(ctx context.Context, db *gorm.DB) (Audit, error) {
	var a Audit
	for _, q := range []struct {
		into  *int
		query string
	}{
		{&a.Orders, `SELECT count(*) FROM shop_orders`},
		{&a.Jobs, `SELECT count(*) FROM shop_expected`},
		{&a.Unfinished, `SELECT count(*) FROM ackbox_jobs WHERE finished_at IS NULL`},
		{&a.Lost, `SELECT count(*) ` + lost},
		{&a.Phantoms, `SELECT count(*) FROM (
			SELECT id AS job FROM ackbox_jobs UNION SELECT job FROM shop_runs UNION SELECT job FROM shop_effects
			EXCEPT SELECT job FROM shop_expected) AS p`},
		{&a.DuplicateRuns, `SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM shop_runs WHERE attempt > 0 GROUP BY job, attempt) AS r`},
		{&a.DuplicateEffects, `SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n ` + twice + `) AS x`},
		{&a.Resent, `SELECT coalesce(sum(resend), 0) FROM ackbox_jobs`},
	} {
		if err := db.WithContext(ctx).Raw(q.query).Scan(q.into).Error; err != nil {
			return Audit{}, fmt.Errorf("shop: audit: %w", err)
		}
	}
	for _, q := range []struct {
		n     int
		query string
	}{
		{a.Lost, story + lost + ` LIMIT 5`},
		{a.DuplicateEffects, story + `FROM shop_expected AS e JOIN ackbox_jobs AS j ON j.id = e.job
			WHERE e.job IN (SELECT job ` + twice + ` HAVING count(*) > 1) LIMIT 5`},
	} {
		if q.n == 0 {
			continue
		}
		var some []string
		if err := db.WithContext(ctx).Raw(q.query).Scan(&some).Error; err != nil {
			return Audit{}, fmt.Errorf("shop: audit: %w", err)
		}
		a.Examples = append(a.Examples, some...)
	}
	return a, nil
}

// Plus adds the books of another business to these.
func (a Audit) Plus(b Audit) Audit {
	return Audit{
		Orders: a.Orders + b.Orders, Jobs: a.Jobs + b.Jobs, Unfinished: a.Unfinished + b.Unfinished,
		Lost: a.Lost + b.Lost, Phantoms: a.Phantoms + b.Phantoms,
		DuplicateRuns: a.DuplicateRuns + b.DuplicateRuns, DuplicateEffects: a.DuplicateEffects + b.DuplicateEffects,
		Resent: a.Resent + b.Resent, Examples: append(append([]string(nil), a.Examples...), b.Examples...),
	}
}

// Err says what must not be, once everything is finished.
func (a Audit) Err() error {
	if a.Unfinished+a.Lost+a.Phantoms+a.DuplicateEffects > 0 {
		examples := strings.Join(a.Examples, "\n")
		a.Examples = nil
		return fmt.Errorf("shop: the books do not balance: %+v\n%s", a, examples)
	}
	return nil
}
