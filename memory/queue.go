package memory

import (
	"cmp"
	"slices"
)

// queue holds the ready messages of one queue and shares them out among its
// consumers. Its fields below dead are guarded by the broker's mutex.
type queue struct {
	name      string
	maxLength int    // ready messages that publishers may add up to; 0: no bound
	dead      *queue // where Bury puts messages; nil in a dead queue

	ready     ring[*message]
	seq       uint64
	consumers []*consumer
	turn      int // index of the consumer to be served next
}

// full reports whether publishers are refused. As in RabbitMQ only ready
// messages count, and those coming back are let in regardless.
func (q *queue) full() bool {
	return q.maxLength > 0 && q.ready.len() >= q.maxLength
}

// add appends m. Its payload may be shared, as it is never modified again.
func (q *queue) add(m message) {
	q.seq++
	m.job.Queue, m.seq = q.name, q.seq
	q.ready.pushBack(&m)
	q.share()
}

// giveBack puts messages that were handed out, or were about to be, at the
// head of the queue in their old order.
func (q *queue) giveBack(messages ...*message) {
	slices.SortFunc(messages, func(a, b *message) int { return cmp.Compare(b.seq, a.seq) })
	for _, m := range messages {
		m.redelivered = true
		m.returns++
		q.ready.pushFront(m)
	}
	q.share()
}

// share hands ready messages to the consumers in turn, as far as their
// prefetch allows. It is called after whatever may have given it work: a
// message came, a consumer came, a delivery was settled.
func (q *queue) share() {
	for q.ready.len() > 0 {
		c := q.nextConsumer()
		if c == nil {
			return
		}
		c.assigned.pushBack(q.ready.popFront())
		c.signal()
	}
}

// nextConsumer returns the next consumer in turn that has room, or nil.
func (q *queue) nextConsumer() *consumer {
	for range q.consumers {
		q.turn %= len(q.consumers)
		c := q.consumers[q.turn]
		q.turn++
		if c.room() {
			return c
		}
	}
	return nil
}

func (q *queue) addConsumer(c *consumer) {
	q.consumers = append(q.consumers, c)
	q.share()
}

// cut ends subscriptions with err: what they have goes back to the queue,
// their receipts fail from now on. It does nothing to those cut before.
func (q *queue) cut(err error, consumers ...*consumer) {
	var messages []*message
	for _, c := range consumers {
		if c.ended == nil {
			messages = append(messages, c.end(err)...)
		}
	}
	q.consumers = slices.DeleteFunc(q.consumers, func(c *consumer) bool { return c.ended != nil })
	// Only now, so that nothing is shared out to one that is cut next.
	q.giveBack(messages...)
}

// forget drops the messages that no handler holds.
func (q *queue) forget() {
	q.ready = ring[*message]{}
	for _, c := range q.consumers {
		c.assigned = ring[*message]{}
	}
	q.share()
}
