//go:build unix

package main

// kept are those of what a message without a row keeps on its way.
var kept = []mutant{
	{
		1, "show what a forwarded message was made of", "memory/message.go",
		"out.Message = messageOf(out)", "out.Message = messageOf(out)\n\t\tif job.Message != nil {\n\t\t\tout.Message = job.Message\n\t\t}",
		[]suite{{inMemory, "TestConformance"}},
	},
	{
		1, "keep a configured kind for the producer's", "memory/message.go",
		"\t\tout.Kind = m.Type\n", "",
		[]suite{{inMemory, "TestConformance"}},
	},
	{
		8, "ask for a refused retry queue with every message", "rabbitmq/refused.go",
		"return time.Now().Before(r.known[queue].next)", "return time.Now().Before(r.known[queue].next) && false",
		[]suite{{inRabbitMQ, "TestRefusedRung"}},
	},
	{
		8, "say with every message that a retry queue is refused", "rabbitmq/refused.go",
		"if r.known[queue].reason != reason {", "if reason != \"\" {",
		[]suite{{inRabbitMQ, "TestRefusedRung"}},
	},
	{
		8, "declare what somebody changes meanwhile", "topology.go",
		"q.Arguments = maps.Clone(q.Arguments)", "_ = maps.Clone(q.Arguments)",
		[]suite{{inRoot, "TestTopologyWithDefaultsSharesNothing"}},
	},
	{
		8, "declare more than a frame holds", "arguments.go",
		"if size > maxArguments {", "if size < 0 {",
		[]suite{{inRoot, "TestTopologyValidate"}},
	},
	{
		1, "let RabbitMQ 4 drop what came back often", "rabbitmq/message.go",
		"return content.Bookkeeping(name) || special(name) })", "return content.Bookkeeping(name) && false || special(name) })",
		[]suite{{inRabbitMQ, "TestReturnsDropNothingOfOurs"}},
	},
}
