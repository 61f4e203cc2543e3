//go:build unix

package main

// controlling are those of what people do to jobs and queues.
var controlling = []mutant{
	{
		12, "do to jobs what is recorded nowhere", "outbox/act.go",
		"return s.writeOperation(ctx, tx, &op)\n\t\t})\n\t\tif err != nil {\n\t\t\treturn changed", "return nil\n\t\t})\n\t\tif err != nil {\n\t\t\treturn changed",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		12, "delete jobs that are not finished", "outbox/actsql.go",
		"finished_at IS NOT NULL ORDER BY id {lock wait}", "true ORDER BY id {lock wait}",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		12, "change a job twice in one operation", "outbox/actsql.go",
		"WHERE h.value ->> 'operation' = ?", "WHERE h.value ->> 'operation' = ? AND false",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		12, "change what came to be so after an operation began", "outbox/stretch.go",
		"\"t.finished_at <= {time ?}\"", "\"(true OR t.finished_at <= {time ?})\"",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		12, "take the empty filter for all jobs", "outbox/bulk.go",
		"f.empty() && !f.All", "f.empty() && false",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		12, "requeue what somebody has cancelled", "outbox/stretch.go",
		"states = states[:1] //", "states = states[:] //",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		12, "begin each step of an operation at the beginning", "outbox/carry.go",
		"to = seen[len(seen)-1].spot", "to.At = seen[len(seen)-1].At",
		[]suite{{inOutbox, "TestOperationPlans"}},
	},
	{
		12, "change jobs beside the transaction that writes how far an operation has come", "outbox/act.go",
		"readIDs(tx.QueryContext(ctx, s.sql.acting", "readIDs(s.pool.QueryContext(ctx, s.sql.acting",
		[]suite{{inFaults, "TestOperationSurvivesItsSweeper"}},
	},
	{
		12, "take a step without a change for the end of an operation", "retry/operations.go",
		"if !more {", "if !more || n == 0 {",
		[]suite{{inRetry, "TestCarryOn"}},
	},
	{
		12, "publish jobs of a paused queue", "outbox/claim.go",
		"slices.Concat(claim.Except, paused)", "slices.Concat(claim.Except, paused[:0])",
		[]suite{{inAccounting, "TestPauseOverAllInstances"}},
	},
	{
		12, "publish jobs of a paused queue, on SQLite", "outbox/claimsql.go",
		" AND queue NOT IN (SELECT queue FROM {queues})", "",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		12, "consume a paused queue", "worker/gate.go",
		"case !gate.set(shut):", "case !gate.set(false):",
		[]suite{{inWorker, "TestPausedQueueStandsStill"}, {inWorker, "TestPausedFromTheStart"}},
	},
	{
		12, "keep what waits for a paused queue's slot", "worker/intake.go",
		"i.standStill(work)\n\t\t\tcontinue", "continue",
		[]suite{{inWorker, "TestPausedQueueStandsStill"}},
	},
	{
		12, "start what comes when the queue is paused already", "worker/intake.go",
		" || i.gate.isShut() && i.next.line.remove(h)", "",
		[]suite{{inWorker, "TestLateDeliveryOfPausedQueue"}},
	},
	{
		12, "let a queue go on a minute late", "worker/intake.go",
		"i.standStill(work)\n", "i.standStill(work)\n\t\t\tsleep(ctx, time.Minute)\n",
		[]suite{{inWorker, "TestPausedQueueStandsStill"}},
	},
	{
		12, "call FailAction for jobs of a paused queue", "worker/refused.go",
		"if r.gates[queue].isShut() {", "if false {",
		[]suite{{inWorker, "TestPausedFromTheStart"}},
	},
}
