//go:build unix

package main

// working are those of package worker.
var working = []mutant{
	{
		6, "acknowledge before the ledger is written", "worker/outcome.go",
		"o.recorder.add(h, core.Transition{To: ackbox.Done}",
		"_ = h.Receipt.Ack(); o.recorder.add(h, core.Transition{To: ackbox.Done}",
		[]suite{{inWorker, "TestOutcomes"}, {inWorker, "TestLedgerAwayForAMinute"}},
	},
	{
		6, "acknowledge the original before its copy is confirmed", "worker/copier.go",
		"\t\t\terr = publish(work)\n", "\t\t\th.ack()\n\t\t\terr = publish(work)\n",
		[]suite{{inWorker, "TestWithoutRow"}},
	},
	{
		5, "run a redelivery without asking the ledger", "worker/admit.go",
		"\tcase h.First():\n", "\tcase h.First() || true:\n",
		[]suite{{inWorker, "TestAsksTheLedger"}},
	},
	{
		8, "take in what may be another ledger's before one's own is known", "worker/staff.go",
		"if !f.heartbeat.introduce(ctx) {", "if ctx.Err() != nil {",
		[]suite{{inWorker, "TestLedgerUnknown"}, {inWorker, "TestNothingBeforeTheFirstBeat"}},
	},
	{
		4, "let an outage of the ledger use up FailAction", "worker/giveup.go",
		"if !atOnce || end.busy {", "if atOnce && end.busy {",
		[]suite{{inWorker, "TestFailActionDuringAnOutage"}},
	},
	{
		8, "let a panic end the process", "handler/guard.go",
		"recover()", "error(nil)",
		[]suite{{inWorker, "TestPanic"}},
	},
	{
		10, "run more than Concurrency", "worker/line.go",
		"if l.slots == l.most {", "if l.slots == 100*l.most {",
		[]suite{{inWorker, "TestConcurrency"}},
	},
	{
		8, "acknowledge another ledger's job", "worker/admit.go",
		`if h.Ledger != "" && h.Ledger != a.own {`, "if false {",
		[]suite{{inWorker, "TestStrays"}},
	},
	{
		8, "bring strays that came together to the same workers again", "worker/stray.go",
		"if rand.IntN(2) == 0 {", "if rand.IntN(2) > 1 {",
		[]suite{{inWorker, "TestStraysSpread"}},
	},
	{
		8, "settle another ledger's job with one's own of the same id", "worker/hands.go",
		"return try{d.Ledger, d.ID, d.Attempt}", "return try{\"\", d.ID, d.Attempt}",
		[]suite{{inWorker, "TestStrayIsNoCopy"}},
	},
	// What only ran is charged, and what ran is recorded: the worker's side.
	{
		4, "charge what merely came back", "worker/admit.go",
		"\tcase h.Ledger == \"\":\n", "\tcase h.Returns >= maxReturns:\n\t\ta.attempts.fail(work, h, entry, errors.New(\"came back\"))\n\tcase h.Ledger == \"\":\n",
		[]suite{{inWorker, "TestReturnsChargeNothing"}},
	},
	{
		4, "let the broker drop what has no row", "worker/admit.go",
		"return h.Returns >= returnsBorne(h)", "return h.Returns < 0",
		[]suite{{inWorker, "TestRenewal"}},
	},
	{
		4, "run for ever what kills its process", "worker/admit.go",
		"case standing.Starts > a.cfg.MaxStarts:", "case standing.Starts > 1000*a.cfg.MaxStarts:",
		[]suite{{inWorker, "TestTooManyStarts"}},
	},
	{
		4, "run suspects beside each other", "worker/admit.go",
		"case standing.Starts > a.cfg.MaxStarts/2:", "case standing.Starts > 100*a.cfg.MaxStarts:",
		[]suite{{inWorker, "TestSuspectsRunOneAtATime"}},
	},
	{
		4, "count the tries before an operator's requeue", "worker/attempt.go",
		"return h.Attempt-h.AttemptsBefore >= allowed", "return h.Attempt >= allowed",
		[]suite{{inWorker, "TestRequeuedTries"}},
	},
	{
		5, "run here what runs elsewhere", "worker/admit.go",
		"case standing.Verdict != core.Started:", "case standing.Verdict != core.Started && standing.Verdict != core.Held:",
		[]suite{{inWorker, "TestHeldElsewhere"}},
	},
	{
		5, "give back what has just got its slot", "worker/intake.go",
		"for _, h := range i.next.line.takeOut(func(h *hand) bool { return !h.refused }) {", "for _, h := range i.hands.snapshot() {",
		[]suite{{inWorker, "TestLostWhileItStarts"}},
	},
	{
		5, "give back to its queue what may be on record as started", "worker/admit.go",
		"a.outcomes.giveBack(work, h) // it may", "a.outcomes.notStarted(work, h) // it may",
		[]suite{{inWorker, "TestStopWhileTheStartIsUnsure"}},
	},
	{
		5, "put nothing on record that runs", "worker/hold.go",
		"if waits || runs {", "if waits && !runs {",
		[]suite{{inWorker, "TestHold"}},
	},
	{
		6, "acknowledge what is not on record", "worker/hold.go",
		`case h.Ledger != "" && h.isOnRecord():`, `case h.Ledger != "" && !h.waits():`,
		[]suite{{inWorker, "TestNotAcknowledgedUnlessOnRecord"}},
	},
	{
		6, "leave a long job to the consumer timeout", "worker/hold.go",
		"h.alone || needsRenewal(h) || now.Sub(h.taken) >= k.cfg.AckWithin", "h.alone || needsRenewal(h)",
		[]suite{{inWorker, "TestAckWithin"}},
	},
	{
		6, "forget outcomes whose subscription is lost", "worker/staff.go",
		"f.hands.waitEmpty() //", "//",
		[]suite{{inWorker, "TestStopWhileTheSubscriptionIsLost"}},
	},
	{
		6, "leave although jobs were given back by force", "worker/staff.go",
		"return false, err\n\t}\n\tvar stuck", "return true, err\n\t}\n\tvar stuck",
		[]suite{{inWorker, "TestRunAgain"}},
	},
	{
		4, "call FailAction of a job that is finished", "worker/giveup.go",
		"if verdict, _ := a.calls.stillOurs(work, h); !a.goesOn(work, h, verdict, why) {", "if work.Err() != nil {",
		[]suite{{inWorker, "TestFailActionOfWhatIsNotOurs"}},
	},
	{
		4, "drop the job of a handler that is mistaken", "worker/attempt.go",
		"case verdict == core.Recorded:", "case verdict == core.Recorded && false:",
		[]suite{{inWorker, "TestOutcomes"}},
	},
	{
		8, "have each outcome wait for the ledger by itself", "worker/recorder.go",
		"case errors.Is(err, context.DeadlineExceeded), r.beat(ctx) != nil:", "case errors.Is(err, context.DeadlineExceeded):",
		[]suite{{inWorker, "TestOutageInTheMiddleOfAGroup"}},
	},
	{
		8, "flood the log with failed tries", "worker/report.go",
		"if m.told == triesPerMinute {", "if m.told < 0 {",
		[]suite{{inWorker, "TestFailedTriesAreTold"}},
	},
	{
		8, "publish jobs of unknown kinds as often as ever", "worker/unknown.go",
		"first *= 2", "n--",
		[]suite{{inWorker, "TestUnknownKindsWaitLonger"}},
	},
}
