//go:build unix

package main

// counted are those of statistics, of instances as people see them, and of health.
var counted = []mutant{
	{
		9, "count a job as enqueued each time it is sent", "outbox/tally.go",
		"job.Attempt == 1 && job.Resend == 0 && job.PublishAttempt == 0", "job.Attempt == 1 && job.PublishAttempt == 0",
		[]suite{{inOutbox, "TestSQLiteOneConnection/Stats/Relay"}},
	},
	{
		9, "count a job that was refused at first as enqueued twice", "outbox/tally.go",
		"job.Resend == 0 && job.PublishAttempt == 0", "job.Resend == 0",
		[]suite{{inOutbox, "TestSQLiteOneConnection/Stats/Relay"}},
	},
	{
		9, "count a job when it is sent and not when it was written", "outbox/tally.go",
		"minuteOf(job.CreatedAt)", "minute",
		[]suite{{inOutbox, "TestSQLiteOneConnection/Stats/OldJobs"}},
	},
	{
		10, "keep as many kinds as strangers make up", "outbox/tally.go",
		"case n >= maxPairs:", "case n < 0:",
		[]suite{{inOutbox, "TestSQLiteOneConnection/Stats/ManyKinds"}},
	},
	{
		10, "keep all that cannot be written", "outbox/tally.go",
		"len(t.counts)+len(unwritten) > maxTallied", "len(t.counts) > maxTallied",
		[]suite{{inUnitOutbox, "TestTallyGivesBack"}},
	},
	{
		9, "forget what could not be written", "outbox/statswrite.go",
		"\t\ts.tally.giveBack(taken)\n", "",
		[]suite{{inOutbox, "TestSQLiteOneConnection/Stats/Runs"}},
	},
	{
		9, "write over what other processes have counted", "outbox/statssql.go",
		`" = s." + name + " + excluded."`, `" = excluded."`,
		[]suite{{inOutbox, "TestSQLiteOneConnection/Stats/Runs"}, {inOutbox, "TestPostgres/Stats/AtOnce"}},
	},
	{
		9, "add histograms up to nothing", "outbox/statssql.go",
		"coalesce(a, 0) + coalesce(b, 0)", "coalesce(b, 0)",
		[]suite{{inOutbox, "TestPostgres/Stats/Runs"}},
	},
	{
		10, "keep statistics by minutes as long as those by hours", "retry/sweeper.go",
		"min(minuteStatsRetention, s.cfg.StatsRetention)", "s.cfg.StatsRetention",
		[]suite{{inRetry, "TestPurgeStats"}},
	},
	{
		9, "count what a failed try took as done", "worker/report.go",
		"s.ran(h, ackbox.Pending)", "s.ran(h, ackbox.Done)",
		[]suite{{inWorker, "TestRunsAreCounted"}},
	},
	{
		9, "lose what was counted at the end", "worker/staff.go",
		"\tf.heartbeat.writeLast(ctx)\n", "",
		[]suite{{inWorker, "TestStatisticsAreWritten"}},
	},
	{
		9, "lose what a dispatcher has counted at the end", "dispatcher/dispatcher.go",
		"\tpresence.writeLast(ctx) // the last batches are counted by now\n", "",
		[]suite{{inDispatcher, "TestTellsThatItLives"}},
	},
	{
		8, "stop beating because statistics cannot be written", "internal/beat/beat.go",
		"\t\t\tof.Unwritten = h.Stats.WriteStats(ctx, false)\n", "\t\t\tif of.Unwritten = h.Stats.WriteStats(ctx, false); of.Unwritten != nil {\n\t\t\t\treturn\n\t\t\t}\n",
		[]suite{{inWorker, "TestStatisticsAreWritten"}},
	},
	{
		10, "show all that runs, however much", "outbox/instancestatus.go",
		"d.Running[:min(len(d.Running), core.MaxRunning)]", "d.Running",
		[]suite{{inOutbox, "TestSQLiteOneConnection/Instances/List"}},
	},
	{
		5, "show the dead as alive", "outbox/holdersql.go",
		"i.seen_at > {silent} OR NOT ` + witness + `\nFROM", "i.seen_at > {silent} OR ` + witness + `\nFROM",
		[]suite{{inOutbox, "TestSQLiteOneConnection/Instances/List"}},
	},
	{
		8, "have a stranger's kind stop the beats", "outbox/instancestatus.go",
		"nameText(r.Kind), nameText(r.Queue)", "r.Kind, r.Queue",
		[]suite{{inOutbox, "TestPostgres/Instances/List"}},
	},
	{
		8, "restart a worker for one slow handler", "worker/health.go",
		"if all >= s.slots() {", "if all > 0 {",
		[]suite{{inWorker, "TestHealth"}},
	},
	{
		8, "keep a worker whose handlers never return", "worker/health.go",
		"if all >= s.slots() {", "if all > s.slots() {",
		[]suite{{inWorker, "TestHealth"}},
	},
	{
		9, "call a dispatcher ready whose broker is away", "dispatcher/health.go",
		"h.Ready = false", "h.Ready = true",
		[]suite{{inDispatcher, "TestHealth"}},
	},
	{
		9, "call a database ready that can only be read", "outbox/health.go",
		`if readOnly == "on" {`, `if readOnly == "" {`,
		[]suite{{inOutbox, "TestHealth"}},
	},
}
