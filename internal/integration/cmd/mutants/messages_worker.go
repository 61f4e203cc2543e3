//go:build unix

package main

// handled are those of a worker's ways with messages without a row.
var handled = []mutant{
	{
		8, "keep a slot for as long as a copy takes", "worker/copier.go",
		"const slotPatience = time.Second", "const slotPatience = time.Hour",
		[]suite{{inWorker, "TestSlowCopyKeepsNoSlot"}},
	},
	{
		10, "tell of each message that is held back", "worker/copier.go",
		"pause > minPause && c.said.fresh(", "pause > minPause || c.said.fresh(",
		[]suite{{inWorker, "TestCopiesAreHeldBack"}},
	},
	{
		1, "leave a message to the limit of its owner's queue", "worker/admit.go",
		"if h.Limit > 0 {", "if h.Limit > 1000 {",
		[]suite{{inAccounting, "TestStopsBesideALowDeliveryLimit"}},
	},
	{
		5, "run what the inbox has", "worker/admit.go",
		"case h.First() || a.attempts.received(work, h):", "case true:",
		[]suite{{inWorker, "TestInboxIsAsked"}},
	},
	{
		7, "drop what was given up and may not be in the dead queue", "worker/attempt.go",
		"\tcase core.GivenUp:\n", "\tcase -1:\n",
		[]suite{{inWorker, "TestInboxIsAsked"}},
	},
	{
		4, "call what another copy has completed dead", "worker/giveup.go",
		"if end.superseded &&", "if !end.final &&",
		[]suite{{inWorker, "TestCompletedBesideFailAction"}},
	},
	{
		8, "let a Find end the process", "worker/messages.go",
		"panicked = recover()", "panicked = nil",
		[]suite{{inWorker, "TestFindPanics"}},
	},
	{
		5, "take two messages that are alike for one", "worker/messages.go",
		"\t\td.IDFromContent = true\n", "",
		[]suite{{inWorker, "TestMessageWithoutAnID"}, {inAccounting, "TestMessagesWithoutAType"}},
	},
	{
		4, "forget the tries that an older receiver counted", "worker/messages.go",
		"d.Attempt = 1 + tries(before)", "d.Attempt = 1 + 0*tries(before)",
		[]suite{{inWorker, "TestMessagesAreRead"}},
	},
	{
		4, "run what is held back again when its subscription was lost", "worker/intake.go",
		"\t\ti.hands.lose(i.queue.Name) //", "\t\t_ = i.hands.lose //",
		[]suite{{inWorker, "TestMessageIsJoinedAfterALostSubscription"}},
	},
	{
		5, "copy what has come again, or will", "worker/copier.go",
		"if !lost {", "if !lost || err != nil {",
		[]suite{{inWorker, "TestHeldMessageDuringAnOutage"}},
	},
	{
		1, "cut what is too long instead of refusing it", "internal/content/content.go",
		"case int64(len(decoded)) > limit:", "case int64(len(decoded)) > 4*limit:",
		[]suite{{inContent, "TestDecode"}},
	},
	{
		5, "make an id of what a broker adds on the way", "internal/content/hash.go",
		"return strings.HasPrefix(name, ackbox.HeaderPrefix) || Bookkeeping(name)", "return strings.HasPrefix(name, ackbox.HeaderPrefix)",
		[]suite{{inContent, "TestHash"}},
	},
}
