//go:build unix

package main

const inAccounting = "internal/integration/accounting"

// accounting are those that only whole processes on real servers notice.
var accounting = []mutant{
	{
		4, "leave messages to the broker's limit", "worker/admit.go",
		"\treturn maxReturns\n", "\treturn 1000 * maxReturns\n",
		[]suite{{inAccounting, "TestGracefulStopsChargeNothing"}},
	},
	{
		4, "give back to a consumer that is about to end", "rabbitmq/receipt.go",
		"\tr.sub.awaitQuiet()\n", "\t_ = r.sub.awaitQuiet\n",
		[]suite{{inAccounting, "TestGracefulStopsChargeNothing"}},
	},
	{
		4, "give back what the broker is about to drop", "worker/outcome.go",
		"case !needsRenewal(h):", "case true:",
		[]suite{{inAccounting, "TestGracefulStopsChargeNothing"}},
	},
	{
		5, "run what a living instance runs", "worker/admit.go",
		"case standing.Verdict != core.Started:", "case standing.Verdict != core.Started && standing.Verdict != core.Held:",
		[]suite{{inAccounting, "TestLostConnectionStartsNothingTwice"}},
	},
	{
		6, "keep a message for as long as its job runs", "worker/hold.go",
		"case h.Ledger != \"\" && h.isOnRecord():\n\t\t\trelieve(h)", "case h.Ledger != \"\" && h.isOnRecord():",
		[]suite{{inAccounting, "TestConsumerTimeout"}},
	},
	{
		6, "end with the subscription, whatever handlers still say", "worker/staff.go",
		"\t\tf.hands.waitEmpty() //", "\t\t_ = f.hands.waitEmpty //",
		[]suite{{inAccounting, "TestStopWithoutTheBroker"}},
	},
}
