//go:build unix

package main

// foreign are those of what others publish, without a row.
var foreign = []mutant{
	{
		1, "forget the way by which a message came", "rabbitmq/message.go",
		"\tif isExchange && isKey {\n", "\tif isExchange && isKey && exchange == \"\" {\n",
		[]suite{{inRabbitMQ, "TestWayIsKept"}},
	},
	{
		1, "show a message another way than it came", "rabbitmq/message.go",
		"msg.Headers[ackbox.HeaderRoutingKey] = d.RoutingKey", "msg.Headers[ackbox.HeaderRoutingKey] = d.Queue",
		[]suite{{inRabbitMQ, "TestWayIsKept"}},
	},
	{
		8, "declare what is somebody else's", "rabbitmq/entity.go",
		"queueArgs(q), passive || q.Passive)", "queueArgs(q), passive)",
		[]suite{{inRabbitMQ, "TestSomebodyElsesQueue"}},
	},
	{
		8, "declare a queue without its arguments", "rabbitmq/topology.go",
		"args := table(q.Arguments)\n", "args := table(nil)\n",
		[]suite{{inRabbitMQ, "TestQueueArguments"}},
	},
	{
		1, "leave the delivery limit to the broker", "rabbitmq/topology.go",
		"args[deliveryLimitArg] = int64(q.DeliveryLimit)", "_ = q.DeliveryLimit",
		[]suite{{inRabbitMQ, "TestQueueArguments"}},
	},
	{
		8, "stop at the first pause that is refused", "rabbitmq/retry.go",
		"if !permanent(err) || ctx.Err() != nil {", "if err != nil {",
		[]suite{{inRabbitMQ, "TestRefusedRung"}},
	},
	{
		1, "lose what a look into a dead queue has not moved", "rabbitmq/browser.go",
		"\tcase err != nil:\n\t\treturn nil, br.g.failed(ctx, \"get\", err)", "\tcase d != nil && d.Ack(false) != nil, err != nil:\n\t\treturn nil, br.g.failed(ctx, \"get\", err)",
		[]suite{{inRabbitMQ, "TestDeadByFilter"}},
	},
	{
		1, "delete whatever is dead", "rabbitmq/browse.go",
		"filter.Match(m) {", "filter.Match(m) || filter.Kind == \"\" {",
		[]suite{{inRabbitMQ, "TestDeadByFilter"}},
	},
	{
		4, "return what cannot be put aside", "worker/copier.go",
		"if errors.Is(err, ackbox.ErrClosed) || c.isStopping()", "if err != nil || errors.Is(err, ackbox.ErrClosed) || c.isStopping()",
		[]suite{{inWorker, "TestCopiesAreHeldBack"}, {inAccounting, "TestRetryQueuesAreNotOurs"}},
	},
	{
		1, "take every queue for one that bears ten returns", "worker/admit.go",
		"return min(maxReturns, max(1, h.Limit/2))", "return maxReturns",
		[]suite{{inWorker, "TestRenewalByLimit"}},
	},
	{
		1, "take the last answer for the kind", "worker/messages.go",
		"word != \"\" && len(word) <= maxWord", "word == \"\" && len(word) <= maxWord",
		[]suite{{inWorker, "TestMessagesAreRead"}},
	},
	{
		1, "believe a handler that it was superseded", "worker/attempt.go",
		"\t\t\ta.fail(work, h, entry, err) // the handler is mistaken\n", "\t\t\ta.outcomes.drop(work, h, core.Stale)\n",
		[]suite{{inWorker, "TestInboxIsAsked"}},
	},
	{
		5, "give up what another copy has done", "worker/giveup.go",
		"if h.Ledger == \"\" && !a.received(work, h) {", "if h.Ledger == \"\" && h.gone() {",
		[]suite{{inWorker, "TestInboxIsAsked"}},
	},
	{
		5, "have another hash for a copy", "internal/content/hash.go",
		"return strings.HasPrefix(name, ackbox.HeaderPrefix) || Bookkeeping(name)", "return Bookkeeping(name)",
		[]suite{{inContent, "TestHash"}},
	},
	{
		10, "let an unknown kind circulate for ever", "worker/unknown.go",
		"time.Since(h.FirstSeen) > o.cfg.UnknownKindLimit", "time.Since(h.FirstSeen) < 0",
		[]suite{{inWorker, "TestUnknownKindsWaitLonger"}},
	},
	{
		1, "pass a renamed field for zero", "handler/decoders.go",
		"\td.DisallowUnknownFields()\n", "",
		[]suite{{inHandler, "TestStrict"}},
	},
	{
		1, "hand a handler what is still packed", "handler/decoders.go",
		"\t\tjob.Payload = body\n", "\t\t_ = body\n",
		[]suite{{inHandler, "TestContentEncoding"}},
	},
}
