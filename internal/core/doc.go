// Package core holds the words that the ledger (outbox), the roads (rabbitmq,
// memory) and the loops (dispatcher, worker, retry) share, and that no application
// has a reason for: what is claimed ([Claim]), what a broker answered ([Outcome]),
// what happens to a job's row next ([Transition]), what the ledger said to that
// ([Verdict]), a message in a worker's hands ([Delivery]) and the process that holds
// it ([Instance]).
//
// It owns no I/O, starts nothing and imports the root package only. What users see
// is in the root package.
package core
