//go:build unix

package main

import "slices"

// mutants are all.
var mutants = slices.Concat(general, working, ledger, accounting, carrying, received, foreign, handled, adopted, kept, sifted, opsLedger, telling, controlling, shown, counted, examining, beside, seen)

// ledger are those of who has a job in hand, and of what counts as a try.
var ledger = []mutant{
	{
		5, "start a job that a living worker runs", "outbox/holdersql.go",
		"t.started_at IS NULL OR ` + dead(d, \"t.holder\")", "true OR ` + dead(d, \"t.holder\")",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		5, "take jobs from a worker that fell silent with all others", "outbox/holdersql.go",
		"AS i WHERE i.seen_at > {silent} OR NOT `", "AS i WHERE i.seen_at > {silent} OR false AND NOT `",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		5, "believe the first that speaks after an outage", "outbox/holdersql.go",
		"w.since <= {silent} AND w.seen_at", "w.seen_at",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		5, "let an instance take jobs that is dead for the others", "outbox/holdersql.go",
		"o.id = {id ?} AND o.seen_at > {silent}", "o.id = {id ?}",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		5, "start one copy twice at the same moment", "outbox/dialect.go",
		"\"FOR UPDATE OF t SKIP LOCKED\"", "\"FOR NO KEY UPDATE OF t SKIP LOCKED\"",
		[]suite{{inOutbox, "TestStartBesideAnotherStart"}},
	},
	{
		5, "publish a job that is known to run", "outbox/claimsql.go",
		"t.queue = q.queue AND t.holder IS NULL AND (t.due_at", "t.queue = q.queue AND (t.due_at",
		[]suite{{inOutbox, "TestPostgres"}},
	},
	{
		7, "resend what is in a worker's hands", "outbox/sweepsql.go",
		"AND queue = ? AND holder IS NULL AND seen_at", "AND queue = ? AND seen_at",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		4, "count a start again whose answer was lost", "outbox/holdersql.go",
		"THEN 0 ELSE 1 END\nFROM", "THEN 1 ELSE 1 END\nFROM",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		4, "forget the starts of a process that died", "outbox/holdersql.go",
		"started_at = NULL, seen_at = {now}`", "started_at = NULL, seen_at = {now}, starts = 0`",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		4, "count a start that our own stop has ended", "outbox/statements.go",
		"THEN t.starts - 1 ELSE t.starts END", "THEN t.starts ELSE t.starts END",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		4, "send a refused job again when its worker dies", "outbox/holdersql.go",
		"started_at IS NOT NULL AND state <> 'refused'", "started_at IS NOT NULL",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		4, "charge what a lock has kept from being recorded", "outbox/once.go",
		"case \"55P03\", \"57014\", \"40P01\", \"40001\":", "case \"none\":",
		[]suite{{inOutbox, "TestCompleteIsBusy"}},
	},
	{
		4, "roll back the neighbours of a stalled destination", "outbox/once.go",
		"context.WithTimeout(ctx, s.cfg.WireTimeout+s.cfg.StatementTimeout)", "context.WithTimeout(ctx, s.cfg.StatementTimeout)",
		[]suite{{inOutbox, "TestCompleteOutlastsAStalledDestination"}},
	},
	{
		5, "take a second Complete for another copy's", "outbox/once.go",
		"case by != nil && by == key(c):", "case by == nil:",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		5, "take another copy's completion for one's own", "outbox/once.go",
		"!ok || !finished.Equal(at):", "!ok || at.IsZero():",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		9, "set back the newest copy by a stale one", "outbox/finish.go",
		"if ofCopy(t) {", "if ofCopy(t) && false {",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		9, "let a worker speak for a job that another one runs", "outbox/statements.go",
		"AND (r.holder IS NULL OR r.target = 'done' OR", "AND (true OR r.target = 'done' OR",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		9, "begin with the first try again when a job is requeued", "outbox/actsql.go",
		"attempt = attempt + 1, attempts_before = attempt, publish_attempt", "attempt = 1, attempts_before = 0, publish_attempt",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		5, "let handlers that have emptied the pool look dead", "outbox/heartbeat.go",
		"if !s.d.schemas || s.pool", "if true || s.pool",
		[]suite{{inOutbox, "TestBeatsBesideAnEmptyPool"}},
	},
	{
		10, "say nothing of a table that is not there", "outbox/errors.go",
		"|| !noTable(err) && !noColumn(err)", "|| true",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		1, "drop a partition with a refused job in it", "outbox/partitiondrop.go",
		"WHERE state = 'refused'", "WHERE state = 'refused' AND false",
		[]suite{{inOutbox, "TestDropPartitions"}},
	},
}
