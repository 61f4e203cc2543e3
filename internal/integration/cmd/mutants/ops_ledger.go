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
}
