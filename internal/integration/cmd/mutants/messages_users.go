//go:build unix

package main

const inMessages = "internal/integration/messages"

// adopted are those of what an application takes over, or consumes of its own.
var adopted = []mutant{
	{
		4, "forget the tries that a message has had elsewhere", "worker/messages.go",
		"d.Attempt = 1 + tries(before)", "d.Attempt = 1 + 0*tries(before)",
		[]suite{{inMessages, "TestTakeover"}},
	},
	{
		5, "take an event in one queue for that in another", "outbox/inbox.go",
		"s.sql.receive, job.Queue, job.ID,", "s.sql.receive, \"\", job.ID,",
		[]suite{{inMessages, "TestOwnEvents"}},
	},
}
