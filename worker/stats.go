package worker

// Stats are what a [Worker] has done since it was made, and what it has in
// hand now.
type Stats struct {
	// Done jobs were handled.
	Done int64
	// Retried jobs failed and will be tried again.
	Retried int64
	// Snoozed jobs put themselves off.
	Snoozed int64
	// Dead jobs were given up, after FailAction.
	Dead int64
	// Skipped deliveries were not run: the ledger knew better.
	Skipped int64
	// Missing deliveries are those whose row the ledger does not have: they were not
	// run, or their outcome could not be recorded.
	Missing int64
	// Strays are deliveries of jobs of other ledgers, which were put aside: an alert
	// belongs on this number.
	Strays int64
	// UnknownKind deliveries had no handler here and were put off.
	UnknownKind int64
	// InHand deliveries are running or waiting in this process now.
	InHand int
	// Overdue handlers have not returned although their timeout passed more
	// than 5 s ago.
	// They keep their slots: an alert belongs on this number.
	Overdue int
}

// Stats returns the counts so far. Safe for concurrent use.
func (w *Worker) Stats() Stats {
	var overdue, inHand int
	if s := w.shift.Load(); s != nil {
		overdue, inHand = s.hands.numbers()
	}
	return Stats{
		Done:        w.setup.count.done.Load(),
		Retried:     w.setup.count.retried.Load(),
		Snoozed:     w.setup.count.snoozed.Load(),
		Dead:        w.setup.count.dead.Load(),
		Skipped:     w.setup.count.skipped.Load(),
		Missing:     w.setup.count.missing.Load(),
		Strays:      w.setup.count.strays.Load(),
		UnknownKind: w.setup.count.unknownKind.Load(),
		InHand:      inHand,
		Overdue:     overdue,
	}
}
