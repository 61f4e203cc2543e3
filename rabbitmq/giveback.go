package rabbitmq

import (
	"context"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// flock is how many messages a quorum queue takes back at a time in their order. Of
	// more, and of what the closing of a channel returns, it makes a muddle: measured on
	// RabbitMQ 3.10, presumably since Erlang's maps are sorted up to 32 keys. On 4.0 flocks
	// of 32 keep their order, too.
	flock = 32
	// flockPatience is how long the queue is given for them, backPatience for all.
	flockPatience = 500 * time.Millisecond
	backPatience  = 10 * time.Second
)

// close ends the look. When it returns, whatever was looked at and stays is there for the
// next look, in its place, unless the broker is slow: then it will be.
func (br *browser) close(ctx context.Context) {
	defer br.g.hangUp(br.ch)
	patience := backPatience
	if ctx.Err() != nil {
		patience = closeTimeout
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	ready, err := br.ready(ctx)
	for len(br.kept) > 0 && err == nil {
		n := min(len(br.kept), flock)
		ready, err = br.giveBack(ctx, br.kept[n-1], ready+n)
		br.kept = br.kept[n:]
	}
	// What is left goes back by the closing of the channel.
}

// giveBack returns the messages up to a tag, and waits until the queue has so many. It
// returns how many it has.
func (br *browser) giveBack(ctx context.Context, tag uint64, want int) (ready int, err error) {
	if _, err := within(ctx, br.g, func() (struct{}, error) { return struct{}{}, br.ch.Nack(tag, true, true) }, nil); err != nil {
		return 0, err
	}
	// Somebody may take them at once; then there is no order to keep.
	late := time.Now().Add(flockPatience)
	for {
		if ready, err = br.ready(ctx); err != nil || ready >= want || time.Now().After(late) {
			return ready, err
		}
		br.g.pause(ctx, time.Millisecond)
	}
}

// ready is how many messages the queue has to give.
func (br *browser) ready(ctx context.Context) (int, error) {
	q, err := within(ctx, br.g, func() (amqp.Queue, error) {
		return br.ch.QueueDeclarePassive(br.from, true, false, false, false, nil)
	}, nil)
	return q.Messages, err
}
