// Package ackbox holds the words that every other package of Ackbox shares:
// a [Job] and its [State], what a broker answered ([Outcome]), what happens to
// a job's row next ([Transition]), and a message in a worker's hands
// ([Delivery]).
//
// It owns no I/O, starts nothing and imports the standard library only. Read
// it first: dispatcher, worker, outbox, rabbitmq and memory meet nowhere else,
// so each of them can be tested, or replaced, without the others.
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
//	  ▲ │      │  ▲     try again, or       │
//	  │ │      │  │     lost on the way     │ out of tries, permanent:
//	  │ │ nack,│  │ due                    │ FailAction ran
//	  │ │ return  │                        ▼
//	  │ │   ┌──────────┐  refused once   ┌──────┐
//	  │ │   │  nacked  │ ──────────────▶ │ dead │──┐
//	  │ │   └──────────┘    too often    └──────┘  │ an operator requeues
//	  │ └──▶ cancelled (by an operator)            │
//	  └────────────────────────────────────────────┘
//
// RabbitMQ is only the road between dispatcher and worker: wipe its disk and
// whatever is not done, dead or cancelled is sent again.
package ackbox
