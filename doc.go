// Package ackbox holds the words that applications and all packages of Ackbox share:
// a [Job], its [Args] and its [State], the [Topology] of queues and exchanges, and the
// errors that mean something to a handler.
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
