// Package worker owns the loop that hands delivered jobs to their handlers and
// makes each outcome durable before it acknowledges the delivery.
//
// It promises:
//
//   - A delivery is acknowledged last: after its outcome is in the ledger, after the
//     ledger alone has the job (see below) or, for a message without a row, after the
//     copy for its next try is confirmed. A worker that dies at any moment loses
//     nothing.
//   - A delivery that is not a first one (redelivered, a later try, sent again)
//     asks the ledger before it runs. What is known to run in another process that is
//     alive is not started here. Copies of a job that is in hand in this process are
//     joined to it and never run beside it.
//   - Only what ran is charged: a handler that failed, or a job that was started time
//     and again without an outcome because its process died. Not a deploy, an outage,
//     a lost connection, a neighbour's crash, or waiting in a prefetch.
//   - One bad job does not stop its neighbours: panics, undecodable payloads and
//     timeouts are outcomes like any other. Each failed try is one line in the log, at
//     most ten a minute and kind; how many more there were is another.
//   - Each queue has its own slots. A handler that ignores its context keeps its slot,
//     and is reported by a log line and in [Stats].
//   - A queue that people have paused (outbox.Store.Pause) is consumed no more within a
//     beat: what waits for a slot goes back, what runs goes on and is recorded.
//   - Cancelling [Worker.Run] stops intake; jobs in hand get the grace period to
//     finish, and what is not finished then goes back uncharged. What handlers have
//     done by then is recorded, be the broker there or not.
//
// Handlers run at least once. To make an effect happen once, finish the job in
// the handler's own transaction with outbox.Complete.
//
// # How a delivery goes
//
// Downwards, one file per step; no step knows the one above it.
//
//	intake.go    takes in what the broker hands out of a queue (refused.go: and what
//	             it never took, from the ledger), reads what others have published
//	             (messages.go), and joins copies. No waiting.
//	slots.go     It waits in its queue's line (line.go) until a slot is free.
//	admit.go     Is it this worker's to run? What is not is put aside: jobs of other
//	             ledgers (stray.go), kinds without a handler (unknown.go).
//	start.go     One that is not a first delivery asks the ledger whether it may start,
//	             which counts the start; those that ask at the same time in one
//	             statement. A first delivery asks nothing.
//	attempt.go   calls the handler (call.go) and decides what follows; giveup.go calls
//	             FailAction, if the ledger says that the job is still open and ours.
//	outcome.go   says what becomes of it: done, next try, dead, put off, given back.
//	recorder.go  makes the outcomes of many jobs durable in one statement. A message
//	             without a row is replaced by a copy in the broker instead (copier.go).
//	report.go    What is durable by now is counted, and told to people.
//	settle.go    The delivery and its copies are acknowledged, or go back.
//
// Beside that line: hand.go and hands.go are what is in hand; gate.go shuts out a queue
// that people have paused; hold.go has on record what is in hand for long; heartbeat.go says
// that this worker lives; overdue.go reports handlers that ignore their timeout; staff.go
// starts and stops all of them, and shift.go is what they share.
//
// # Who has a job
//
// Each Run is an instance that beats every three seconds. What has waited or run for a
// second is put on record for it, once. When an instance dies its beats end, and within
// about 20 seconds a sweeper has its jobs sent again. A connection that is lost, to the
// broker or to the ledger, kills nobody: what runs goes on, and its message, should it
// come to another worker, is dropped there.
//
// At least once means, here: a job that began less than about a second ago has no
// recorded holder yet. If its connection is lost in that second, another worker may
// start it, too. So it is if an instance is taken for dead that merely could not say
// that it lives for 15 seconds, as one that was suspended.
//
// No job's message stays unacknowledged for longer than Config.AckWithin, so that no
// consumer timeout of a broker takes it away: one whose job runs is acknowledged, as the
// ledger has the job on record; one that still waits goes back to the ledger.
//
// # Messages without a row
//
// What others publish to a queue, in whatever language, is handled like a job, as far as
// that can be had without a row. [Queue].Messages says how such messages are read: where
// the kind is found, by which a handler is, and the id. ackbox.Job.Message is what came;
// exchange, routing key, properties and headers are the same on every try.
//
//   - They are retried in the broker: a confirmed copy waits in a queue of ours and comes
//     back; when its tries are used up, Config.MaxAttempts of them, it is put into the
//     dead queue beside its own, and the log says so. A requeue from there gives it as
//     many tries again.
//   - While no copy can be made (the broker blocks publishers, a queue of ours cannot be
//     declared) the message stays in hand, with its outcome and without a slot, and is
//     tried again every few seconds; it does not run again for that. Only when the worker
//     stops it goes back and runs again uncharged. If its subscription is lost, it is
//     joined when it comes back here; if it comes to another worker, it runs there. Such
//     messages count in Queue.Prefetch: when all of it is held back, the queue waits.
//   - One that waits for Config.AckWithin is replaced by a fresh copy, and so is one that
//     has come back ten times, or half as often as its queue bears if that is less
//     (ackbox.Queue.DeliveryLimit), so that waiting never costs a message. Nobody counts
//     how often it was started, so after 50 returns a try is charged. One that runs stays
//     unacknowledged.
//   - Their effects happen once if the handler calls outbox.Complete, by queue and id. A
//     delivery that is not a first one asks the ledger's inbox before it runs, and so does
//     FailAction. Where no id was found, Job.ID is a hash of the content
//     (Job.IDFromContent), by which Complete does not go unless [FromContent] is in
//     Messages.ID.
//   - Kinds that no worker knows are put off, with pauses growing to 15 minutes, and
//     counted in [Stats]; after Config.UnknownKindLimit the message is put into the dead
//     queue. One in which no kind is found goes there at once.
package worker
