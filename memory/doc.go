// Package memory is a message broker inside the process, with RabbitMQ's
// semantics and the same methods as package rabbitmq. It serves the embedded
// default, where no server is wanted, and tests of code that uses Ackbox.
//
// It owns queues, exchanges, prefetch, redelivery, the waiting room for
// retries and the dead queues, and nothing else: no I/O, no dependency but the
// standard library. It promises what the conformance suite checks on both
// brokers: every message of a batch gets an honest outcome of its own, a
// message stays with the broker until its Receipt is acked, and what comes
// back without an ack is delivered again. One broker may be used by any number
// of goroutines. It starts no goroutine; one timer runs while retries wait, and
// [Broker.Close] ends it. Time comes from package time, so all of it works on
// testing/synctest's fake clock.
//
// It does not promise persistence: what waits here is gone with the process,
// or with Close. Jobs survive that because their ledger rows do; messages
// without a row do not. Where RabbitMQ is vague, memory is exact: MaxLength
// admits not one message too many, and a requeued message is always next.
//
// # In tests
//
// A message from another service, with no ledger row behind it, is a Job
// published with Ledger false. [Broker.SetAway] is an outage,
// [Broker.Wipe] the loss of the broker's disk.
package memory
