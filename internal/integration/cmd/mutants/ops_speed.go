//go:build unix

package main

// beside are those of what stands beside others and must not be in their way.
var beside = []mutant{
	{
		12, "let an operation that fails stand before all others", "outbox/actsql.go",
		"ORDER BY error <> '', CASE", "ORDER BY CASE",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		12, "leave to a server what its starter holds", "internal/testenv/servers/process.go",
		"\tkeepInherited()\n\tif err", "\tif err",
		[]suite{{"internal/testenv/servers", "TestServersInheritNothing"}},
	},
}
