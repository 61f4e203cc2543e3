package worker

import "sync/atomic"

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

type counters struct {
	done, retried, snoozed, dead, skipped, missing, strays, unknownKind atomic.Int64
}

// Stats returns the counts so far. Safe for concurrent use.
func (w *Worker) Stats() Stats {
	overdue, inHand := w.inHand.Load().numbers()
	return Stats{
		Done:        w.count.done.Load(),
		Retried:     w.count.retried.Load(),
		Snoozed:     w.count.snoozed.Load(),
		Dead:        w.count.dead.Load(),
		Skipped:     w.count.skipped.Load(),
		Missing:     w.count.missing.Load(),
		Strays:      w.count.strays.Load(),
		UnknownKind: w.count.unknownKind.Load(),
		InHand:      inHand,
		Overdue:     overdue,
	}
}
