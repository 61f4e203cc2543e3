// Package worker owns the loop that hands delivered jobs to their handlers and
// makes each outcome durable before it acknowledges the delivery.
//
// It promises:
//
//   - A delivery is acknowledged last: after its outcome is in the ledger or,
//     for a message without a row, after the copy for its next try is
//     confirmed. A worker that dies at any moment loses nothing.
//   - A delivery that is not a first one (redelivered, a later try, sent again)
//     asks the ledger before it runs. Copies of a job that is in hand in this
//     process are joined to it and never run beside it.
//   - One bad job does not stop its neighbours: panics, undecodable payloads and
//     timeouts are outcomes like any other.
//   - Handlers run under a bounded errgroup per queue and a bound for the
//     process. A handler that ignores its context keeps its slot, and is
//     reported by a log line and in [Stats].
//   - Cancelling [Worker.Run] stops intake; jobs in hand get the grace period to
//     finish, and what is not finished then goes back to its queue uncharged.
//
// Handlers run at least once. To make an effect happen once, finish the job in
// the handler's own transaction with outbox.Complete.
package worker
