// Package ackbox holds the words of Ackbox that applications meet: a [Job], its [Args]
// and its [State], the [Topology] of queues and exchanges, what a handler's context says
// about the call it is in ([RunFrom]), and the errors that mean something to a handler.
//
// It owns no I/O, starts nothing and imports the standard library only.
//
// # The ledger
//
// A job's row in the outbox table is not thrown away when the broker has the
// message. It is the job's ledger entry from commit to completion:
//
//	                 basic.ack, routed            handler returned nil
//	       ┌─────────┐ ───────────────▶ ┌──────┐ ─────────────────▶ ┌──────┐
//	──────▶│ pending │                  │ sent │                    │ done │
//	commit └─────────┘ ◀─────────────── └──────┘                    └──────┘
//	  ▲ │      │  ▲     try again, or         │
//	  │ │      │  │     lost on the way       │ out of tries, permanent:
//	  │ │ nack,│  │ due                      │ FailAction ran
//	  │ │ return  │                          ▼
//	  │ │   ┌────────┐ too long ┌─────────┐ ┌──────┐
//	  │ │   │ nacked │ ───────▶ │ refused │▶│ dead │──┐
//	  │ │   └────────┘          └─────────┘ └──────┘  │ an operator requeues
//	  │ └──▶ cancelled (by an operator)               │
//	  └───────────────────────────────────────────────┘
//
// A refused job is one that the broker has refused for too long: a worker of its queue
// calls FailAction, and then it is dead.
//
// RabbitMQ is only the road between dispatcher and worker: wipe its disk and
// whatever is not done, dead or cancelled is sent again.
package ackbox
