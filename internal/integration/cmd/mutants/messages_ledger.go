//go:build unix

package main

// received are those of the inbox.
var received = []mutant{
	{
		5, "have the effect of a message again because it was requeued", "outbox/inbox.go",
		"WHERE t.dead AND t.round < excluded.round", "WHERE t.round < excluded.round",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}, {inOutbox, "TestInboxEffectsCounted"}},
	},
	{
		5, "have the effect of what was given up", "outbox/inbox.go",
		"WHERE t.dead AND t.round < excluded.round", "WHERE t.dead",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}, {inOutbox, "TestInboxEffectsCounted"}},
	},
	{
		5, "have no effect of what was requeued from the dead", "outbox/inbox.go",
		"WHERE t.dead AND t.round < excluded.round", "WHERE t.round < 0",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}, {inOutbox, "TestInboxEffectsCounted"}},
	},
	{
		5, "take a message for the same one in another queue", "outbox/inbox.go",
		"s.sql.receive, job.Queue, job.ID,", "s.sql.receive, \"\", job.ID,",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		1, "lose a message whose handler was rolled back", "outbox/inbox.go",
		"err := c.QueryRowContext(bounded, s.sql.receive", "err := s.pool.QueryRowContext(bounded, s.sql.receive",
		[]suite{{inOutbox, "TestInboxEffectsCounted"}},
	},
	{
		1, "take two messages that say the same for one", "outbox/inbox.go",
		"case job.IDFromContent:", "case job.IDFromContent && job.ID == \"\":",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		1, "drop what died between FailAction and the dead queue", "outbox/inbox.go",
		"case e.dead && e.round == now:\n\t\treturn core.GivenUp", "case e.dead && e.round == now:\n\t\treturn core.Stale",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		8, "bury an old copy beside the one that was requeued", "outbox/inbox.go",
		"case e.dead && e.round == now:", "case e.dead:",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		5, "take a second Complete of a message for another copy's", "outbox/inbox.go",
		"mark.From(ctx).Set(key(c), at.Time)", "_ = mark.From",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		8, "have a forged round fail the handler's transaction", "outbox/inbox.go",
		"return min(max(job.AttemptsBefore, 0), math.MaxInt32)", "return min(job.AttemptsBefore, math.MaxInt)",
		[]suite{{inOutbox, "TestPostgres"}},
	},
	{
		8, "have an odd id fail the handler's transaction", "outbox/inbox.go",
		"&& plain(job.ID) &&", "&&",
		[]suite{{inOutbox, "TestPostgres"}},
	},
	{
		10, "read all of the inbox to purge a little", "outbox/dialect.go",
		"\"ctid = ANY (ARRAY(SELECT place FROM picked))\"", "\"ctid || '' IN (SELECT place || '' FROM picked)\"",
		[]suite{{inOutbox, "TestInboxPlans"}},
	},
	{
		5, "forget messages as soon as finished jobs", "retry/sweeper.go",
		"s.store.PurgeInbox(ctx, s.cfg.InboxRetention,", "s.store.PurgeInbox(ctx, s.cfg.Retention,",
		[]suite{{inRetry, "TestRunSweepsBySchedule"}},
	},
}
