//go:build unix

package main

// telling are those of hooks, and of what metrics and traces are made of.
var telling = []mutant{
	{
		8, "let a hook's panic reach the loops", "internal/hook/hook.go",
		"p := recover()", "p := error(nil)",
		[]suite{{inWorker, "TestHooksAreToldWhatRan"}},
	},
	{
		9, "tell hooks of a batch before it is in the ledger", "dispatcher/dispatcher.go",
		"\t\ta = d.publish(ctx, jobs)\n", "\t\ta = d.publish(ctx, jobs)\n\t\td.tell(ctx, a.told)\n",
		[]suite{{inDispatcher, "TestHooksAreToldWhatWasPublished"}, {inDispatcher, "TestHooksAreNotToldOfFailedBatches"}},
	},
	{
		9, "tell hooks that a stale failure is a failure", "worker/report.go",
		"case verdict == core.Recorded, r.what == handled, r.what == gaveUp:", "case verdict != core.Missing:",
		[]suite{{inWorker, "TestHooksAreToldOfSupersededRuns"}},
	},
	{
		10, "put times on messages that nobody asked for", "dispatcher/telling.go",
		"if !d.hooks.Publishes() {", "if d.hooks == nil {",
		[]suite{{inDispatcher, "TestNoHooksNoStamps"}},
	},
	{
		9, "count the time before a job was due as waiting", "outbox/batch.go",
		"now.Sub(r.due.Time)", "now.Sub(r.created.Time)",
		[]suite{{inOutbox, "TestPostgres/Relay"}},
	},
}
