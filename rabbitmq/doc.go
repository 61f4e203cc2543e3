// Package rabbitmq owns all AMQP of Ackbox: one [Broker] publishes jobs with
// confirms, consumes queues with manual acknowledgement, parks and buries
// messages that no ledger row stands behind, and declares or checks the
// topology.
//
// # Promises
//
//   - [New] does no I/O. The application starts, and keeps enqueueing, while
//     the broker is down; connections are built inside the calls that need
//     one and rebuilt for ever, with backoff and jitter.
//   - An outcome is the truth or it is Unknown. Acked means confirmed by the
//     broker and not returned. A lost connection, a passed deadline or a
//     dying channel never looks like an ack or like a refusal.
//   - One bad message never stops its neighbours: what is known to kill a channel
//     is refused before it is sent, and what kills one all the same is found by
//     publishing the rest of its window one by one.
//   - One queue never stops another. A queue that stalls, as a quorum queue does
//     without its majority, does not hold up what goes elsewhere: destinations have
//     channels of their own. An exchange or queue that cannot be declared stops
//     only what needs it. Both are in [Broker.Unavailable].
//   - A queue that cannot answer is not an empty queue: [Broker.Waiting].
//   - A receipt settles its own delivery or fails. It keeps the channel by
//     which the delivery came, so an answer that comes after a reconnect can
//     never acknowledge a stranger.
//   - Every wait has a deadline and every goroutine an owner that awaits it.
//     [Broker.Close] leaves none behind.
//   - No password reaches an error, a log line or a String method.
//
// # How it is built
//
// A generation is one connection with its channels. Nothing of it is ever
// repaired: upon any fault of the connection the whole is thrown away (a close
// with a deadline, then the raw socket) and another is built, to the next node if
// there are several. There are three, each in a slot that builds it when a call
// needs it. By "publish" go messages and their confirms. By "consume" go
// deliveries and acknowledgements, which must go on when a memory or disk alarm
// stops what publishes. By "control" goes what asks the broker for something and
// may wait for its answer: declarations, Waiting, the dead queues.
//
// The entities of the topology are declared one by one when a connection was lost,
// by whoever needs them next; what is wrong with one stays with it.
//
// The client library's own recovery is not used: it keeps delivery tags over a
// reconnect and can so acknowledge another message.
//
// The client library has no deadline for writes and none for its calls to the
// broker. Therefore the socket sets one for every write, and a call runs in a
// goroutine of its generation: when its context ends its caller walks away, at the
// cost of a channel. Only a write that is stuck a moment after its context ended
// has its connection killed under it, since nobody else can write either.
//
// # What the broker is asked for
//
// RabbitMQ 3.10 or newer, user permissions to configure, write and read the
// queues of the topology and those named "<queue>.retry.<ms>" and
// "<queue>.dead". With Config.Passive nothing is declared and the configure
// permission is not needed; the queues must exist then.
package rabbitmq
