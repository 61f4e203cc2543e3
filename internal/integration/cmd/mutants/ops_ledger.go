//go:build unix

package main

// opsLedger are those of what the ledger tells operators.
var opsLedger = []mutant{
	{
		12, "send a job without its key", "rabbitmq/message.go",
		"if job.Key != \"\" {", "if job.Key != \"\" && false {",
		[]suite{{inUnitRabbitMQ, "TestJobMessage"}},
	},
	{
		12, "write a job without its key", "outbox/draft.go",
		"millis(d.delay), j.Key,", "millis(d.delay), \"\",",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		12, "let what is put off push out what was before", "outbox/historysql.go",
		"string(PutOff), string(Refused), string(Resent)", "string(Refused), string(Resent)",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		12, "forget who ran a try that failed", "outbox/statements.go",
		"\"t.attempt\", \"l.holder\", \"l.error\"", "\"t.attempt\", \"\", \"l.error\"",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		12, "let one edited history keep back its neighbours", "outbox/historysql.go",
		"~ '^[0-9]+$' AND length({history} -> -1 ->> 'times') < 9 THEN", "~ '^[0-9]+$' THEN",
		[]suite{{inOutbox, "TestPostgres"}},
	},
	{
		12, "write history for a job that goes its straight way", "outbox/change.go",
		"\tdefault:\n\t}\n\treturn \"\"\n}", "\tdefault:\n\t}\n\treturn PutOff\n}",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		12, "forget how long a handler ran", "worker/recorder.go",
		"r.heart.ID(), h.runtime()", "r.heart.ID(), 0*h.runtime()",
		[]suite{{inWorker, "TestHistoryOfATry"}},
	},
	{
		12, "look at every row of a list", "outbox/list.go",
		"l.more && l.budget > 0;", "l.more && l.budget > -1<<30;",
		[]suite{{inOutbox, "TestListsSearchInSteps"}},
	},
	{
		12, "list rows that come behind what was not read", "outbox/list.go",
		"read[r.queue] == each {", "read[r.queue] == -each {",
		[]suite{{inUnitOutbox, "TestTakeNoFurtherThanEachQueueWasRead"}, {inOutbox, "TestListsSearchInSteps"}},
	},
	{
		12, "read ten thousand rows for a page of fifty", "outbox/list.go",
		"\teach := l.limit + 1\n", "\teach := maxSearched\n",
		[]suite{{inOutbox, "TestListsReadWhatTheyShow"}},
	},
	{
		12, "let what people look up go on for ever", "outbox/look.go",
		"'statement_timeout', '2000'", "'statement_timeout', '0'",
		[]suite{{inOutbox, "TestLookIsSlow"}},
	},
	{
		12, "count by the rows what an index tells", "outbox/filtersql.go",
		"if f.State == w.state {", "if f.State == w.state && false {",
		[]suite{{inOutbox, "TestListsReadWhatTheyShow"}},
	},
}
