// Package dispatcher owns the loop that carries committed jobs to the broker:
// claim a batch of due rows, publish it, record what the broker answered.
//
// It promises:
//
//   - A row is marked sent only after the broker has confirmed its message and
//     routed it. A refused message is nacked and tried again later, at growing
//     intervals; an answer that never came leaves the row publishable and uses
//     up no attempt.
//   - While the broker is away or blocked nothing is claimed and no job is
//     written. When it is back, the dispatcher resumes at full speed by itself.
//   - A queue for which the broker takes nothing is left alone: its rows are
//     neither claimed nor written, and the jobs of other queues go on.
//   - A job does not wait for the backlog of another queue: beside the lanes that
//     full batches of it keep busy, a small one carries what other queues have.
//   - Any number of dispatchers may run at once; no row is in two batches.
//   - Cancelling [Dispatcher.Run] stops the claiming; batches in hand are
//     published and recorded before it returns.
//   - It says every 3 s in the ledger that it lives and what is not well, for people
//     to see; that this cannot be written changes nothing.
package dispatcher
