//go:build unix

package main

const inCommand = "cmd/ackbox/internal/command"

// examining are those of what people are told at a terminal.
var examining = []mutant{
	{
		12, "let a job write on the terminal", "cmd/ackbox/internal/command/print.go",
		"if utf8.ValidString(s) && !strings.ContainsFunc(s, hidden) {", "if utf8.ValidString(s) {",
		[]suite{{inCommand, "TestHostileTextIsText"}},
	},
	{
		12, "show the payload unasked", "cmd/ackbox/internal/command/job.go",
		"\tif payload {\n\t\tj.Headers", "\tif true {\n\t\tj.Headers",
		[]suite{{inCommand, "TestJobsList"}},
	},
	{
		12, "requeue though nobody has confirmed it", "cmd/ackbox/internal/command/change.go",
		"if yes {\n\t\treturn nil", "if yes || !a.env.Terminal {\n\t\treturn nil",
		[]suite{{inCommand, "TestBulk"}},
	},
	{
		12, "let a dry run change jobs", "cmd/ackbox/internal/command/change.go",
		"if f.dryRun {\n\t\treturn a.showRehearsal", "if f.dryRun && f.yes {\n\t\treturn a.showRehearsal",
		[]suite{{inCommand, "TestBulk"}},
	},
	{
		12, "take a wrong command for one that failed", "cmd/ackbox/internal/command/command.go",
		"if err != nil && !a.began {", "if err != nil && a.began && false {",
		[]suite{{inCommand, "TestExitCodes"}},
	},
	{
		12, "call what waits on the broker lost", "cmd/ackbox/internal/command/verify.go",
		"case b.Road > ready.n:", "case b.Road > 0:",
		[]suite{{inCommand, "TestVerifyAgrees"}},
	},
	{
		12, "call well what is neither on the broker nor in a hand", "cmd/ackbox/internal/command/verify.go",
		"case b.Road > ready.n:", "case b.Road > ready.n && false:",
		[]suite{{inCommand, "TestVerifyFindsWhatIsWrong"}},
	},
	{
		12, "take a job in somebody's hands for one on the road", "outbox/balancesql.go",
		"AND seen_at <= {before ?} AND holder IS NULL`", "AND seen_at <= {before ?}`",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		12, "find nobody dead", "outbox/balancesql.go",
		"held+` AND `+dead(d, \"t.holder\")", "held+` AND NOT `+dead(d, \"t.holder\")",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		12, "take an index that is not valid for one that is", "outbox/diagnosesql.go",
		"SELECT i.relname::text, x.indisvalid AND x.indisready", "SELECT i.relname::text, true",
		[]suite{{inCommand, "TestDoctorOnADamagedDatabase"}},
	},
	{
		12, "find every right there", "outbox/diagnosesql.go",
		"AND NOT (has_schema_privilege(n.oid, 'USAGE') AND", "AND NOT (true OR has_schema_privilege(n.oid, 'USAGE') AND",
		[]suite{{inCommand, "TestDoctorAsAnotherRole"}},
	},
	{
		12, "let an examination declare what is not there", "rabbitmq/examine.go",
		"seen, err = ch.QueueDeclarePassive(name, true, false, false, false, nil)", "seen, err = ch.QueueDeclare(name, true, false, false, false, args)",
		[]suite{{inCommand, "TestDoctorOnADamagedBroker"}},
	},
	{
		12, "take the permission to read for granted", "rabbitmq/examine.go",
		"x.Denied = append(x.Denied, \"read\")", "_ = x.Denied",
		[]suite{{inCommand, "TestDoctorOnADamagedBroker"}},
	},
}
