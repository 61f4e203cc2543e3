package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

const consumerTag = "ackbox"

// Consume hands the messages of one queue of the topology to handle, with
// manual acknowledgement and at most prefetch (1 to 65535) of them unsettled.
// It connects if need be, waiting with backoff until ctx ends, as it waits for a
// queue that cannot be declared or does not answer: that costs no other queue's
// consumer. handle is called
// for one message at a time, from one goroutine, and may block; it must settle
// the Receipt, then or later, from any goroutine.
//
// When ctx ends, intake stops: messages that were not handed out go back to the
// queue at once, Consume waits until every Receipt that was handed out is
// settled, and returns nil. It sets no deadline for that; [Broker.Close] ends
// the wait.
//
// When the channel or connection dies or the broker cancels the consumer (the
// queue was deleted), Consume returns an error as soon as handle returns;
// outstanding Receipts fail, and the broker delivers their messages again. Call
// Consume again after a pause. After Close the error is [ackbox.ErrClosed].
func (b *Broker) Consume(ctx context.Context, queue string, prefetch int, handle func(core.Delivery)) error {
	if _, err := b.queue(queue); err != nil {
		return err
	}
	if prefetch < 1 || prefetch > 65535 {
		return fmt.Errorf("rabbitmq: consume %s: prefetch is %d: want 1 to 65535", queue, prefetch)
	}
	s, err := b.subscribe(ctx, queue, prefetch)
	switch {
	case err == nil:
	case errors.Is(err, ackbox.ErrClosed):
		return fmt.Errorf("rabbitmq: consume %s: %w", queue, err)
	case ctx.Err() != nil:
		return nil //nolint:nilerr // asked to stop before there was anything in hand
	default:
		return fmt.Errorf("rabbitmq: consume %s: %w", queue, err)
	}
	err = s.run(ctx, handle)
	s.g.hangUp(s.ch) // whatever is unsettled goes back to its queue
	if err != nil {
		select {
		case <-b.closing:
			err = ackbox.ErrClosed
		default:
		}
		return fmt.Errorf("rabbitmq: consume %s: %w", queue, err)
	}
	return nil
}

// subscription is one consumer on a channel of its own.
type subscription struct {
	b          *Broker
	g          *generation
	ch         *amqp.Channel
	queue      string
	limit      int // how many returns the queue bears; 0 for any number
	deliveries <-chan amqp.Delivery
	closed     chan *amqp.Error // holds why the channel died
	cancelled  chan string      // holds our tag if the broker cancels
	unsettled  unsettled
	// stopping is closed when intake is to end, quiet when the broker hands out nothing
	// more: what is given back in between waits for that, or it would come here again
	// and be returned twice. It is the caller's own channel: whoever has seen it closed
	// gives back after that.
	stopping <-chan struct{}
	quiet    chan struct{}
	pending  atomic.Int64  // handed out and not settled
	progress chan struct{} // has an element when pending may have become 0
}

func (b *Broker) subscribe(ctx context.Context, queue string, prefetch int) (*subscription, error) {
	if err := b.awaitQueue(ctx, queue); err != nil {
		return nil, err
	}
	g, err := b.consume.get(ctx, true)
	if err != nil {
		return nil, err
	}
	starting, cancel := context.WithTimeout(ctx, b.cfg.DialTimeout)
	defer cancel()
	s, err := within(starting, g, func() (*subscription, error) { return b.subscribeOn(starting, g, queue, prefetch) },
		func(s *subscription) { _ = s.ch.Close() })
	if err != nil {
		return nil, g.failed(starting, "subscribe", err)
	}
	return s, nil
}

// awaitQueue waits until queue is declared and its leader answers: a
// subscription without would end the connection of all the others after a minute.
func (b *Broker) awaitQueue(ctx context.Context, queue string) error {
	es := b.declared.route(queue, "")
	said := false
	for pause := b.cfg.MinBackoff; ; pause = min(2*pause, b.cfg.MaxBackoff) {
		err := b.declared.settle(ctx, es)
		if err != nil {
			return err
		}
		// Of what is not declared the declarations tell.
		if err = b.declared.trouble(es); err == nil {
			if err = b.answersFor(ctx, queue); err == nil {
				return nil
			}
			if errors.Is(err, core.ErrNoQueue) {
				b.declared.doubt(es, 0) // deleted since
			} else if !said && ctx.Err() == nil {
				said = true
				b.consume.log.WarnContext(ctx, "rabbitmq: a queue does not answer; its consumer waits, others go on", "queue", queue, "error", err)
			}
		}
		if waiting := b.consume.sleep(ctx, pause/2+rand.N(pause/2+1)); waiting != nil { //nolint:gosec // jitter is no secret
			return fmt.Errorf("%w: %w", waiting, err)
		}
	}
}

func (b *Broker) answersFor(ctx context.Context, queue string) error {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.DialTimeout)
	defer cancel()
	_, err := b.look(ctx, queue)
	return err
}

func (b *Broker) subscribeOn(ctx context.Context, g *generation, queue string, prefetch int) (*subscription, error) {
	ch, err := g.newChannel(ctx)
	if err != nil {
		return nil, err
	}
	s := &subscription{
		b: b, g: g, ch: ch, queue: queue, limit: b.limit(queue),
		closed:    ch.NotifyClose(make(chan *amqp.Error, 1)),
		cancelled: ch.NotifyCancel(make(chan string, 1)),
		progress:  make(chan struct{}, 1),
		quiet:     make(chan struct{}),
	}
	if err := ch.Qos(prefetch, 0, false); err != nil {
		_ = ch.Close()
		return nil, fmt.Errorf("set prefetch: %w", err)
	}
	s.deliveries, err = ch.Consume(queue, consumerTag, false, false, false, false, nil)
	if err != nil {
		_ = ch.Close()
		return nil, fmt.Errorf("start consumer: %w", err)
	}
	return s, nil
}

// run moves deliveries to handle until ctx ends (nil) or the subscription does
// (an error). It returns when handle does.
func (s *subscription) run(ctx context.Context, handle func(core.Delivery)) error {
	s.stopping = ctx.Done()
	// handle has a goroutine of its own, so that one that blocks delays neither
	// the end of intake nor the news of a dead channel.
	hand := make(chan core.Delivery)
	handled := make(chan struct{})
	go func() {
		defer close(handled)
		for d := range hand {
			handle(d)
		}
	}()
	late, err := s.pump(ctx, hand)
	close(hand)
	if err == nil {
		err = s.stop(ctx, late)
	}
	close(s.quiet)
	<-handled
	if err == nil {
		err = s.awaitSettled()
	}
	return err
}

// pump offers one delivery at a time until ctx ends or the subscription dies.
// One that was not taken stays for the broker to deliver again: upon a dead
// channel by itself, upon the end of ctx it is returned, to be given back.
func (s *subscription) pump(ctx context.Context, hand chan<- core.Delivery) (late *amqp.Delivery, err error) {
	for {
		var d amqp.Delivery
		select {
		case next, ok := <-s.deliveries:
			if !ok {
				return nil, s.cause()
			}
			d = next
		case _, ok := <-s.cancelled:
			return nil, s.ended(ok)
		case <-ctx.Done():
			return nil, nil
		}
		if ctx.Err() != nil { // takes precedence over a handler that is free, too
			return &d, nil //nolint:nilerr // asked to stop
		}
		next := s.delivery(d)
		select {
		case hand <- next:
			continue
		case <-ctx.Done():
			s.unsettled.forget(next.Receipt)
			s.settled(1)
			return &d, nil
		case err := <-s.closed:
			return nil, closedBy(err)
		case _, ok := <-s.cancelled:
			return nil, s.ended(ok)
		}
	}
}

// delivery makes d ready to be handed out, and counts it: it may be settled at
// once.
func (s *subscription) delivery(d amqp.Delivery) core.Delivery {
	r := &receipt{sub: s, original: d}
	s.unsettled.add(r)
	s.pending.Add(1)
	return core.Delivery{
		Job:         jobFrom(s.queue, &d),
		Redelivered: d.Redelivered,
		Returns:     count(d.Headers["x-delivery-count"]),
		Strays:      count(d.Headers[ackbox.HeaderStrays]),
		Renewals:    count(d.Headers[ackbox.HeaderRenewals]),
		FirstSeen:   moment(d.Headers[ackbox.HeaderFirstSeen]),
		Limit:       s.limit,
		Receipt:     r,
	}
}

func (s *subscription) giveBack(d amqp.Delivery) error {
	if err := d.Nack(false, true); err != nil {
		return fmt.Errorf("give back: %w", err)
	}
	return nil
}

// stop cancels the consumer and gives back what was not handed out: late, and what
// the client has buffered.
func (s *subscription) stop(ctx context.Context, late *amqp.Delivery) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.b.cfg.DialTimeout)
	defer cancel()
	if _, err := within(ctx, s.g, func() (struct{}, error) { return struct{}{}, s.ch.Cancel(consumerTag, false) }, nil); err != nil {
		return s.g.failed(ctx, "cancel consumer", err)
	}
	if late != nil {
		if err := s.giveBack(*late); err != nil {
			return err
		}
	}
	for d := range s.deliveries { // closed by the client after the last one
		if err := s.giveBack(d); err != nil {
			return err
		}
	}
	if s.ch.IsClosed() {
		return s.cause()
	}
	return nil
}

// awaitQuiet returns at once while messages are being handed out, and waits for the
// end of that, which is bounded, once it is under way.
func (s *subscription) awaitQuiet() {
	select {
	case <-s.stopping:
		<-s.quiet
	default:
	}
}

// awaitSettled waits for the receipts that are still out.
func (s *subscription) awaitSettled() error {
	for s.pending.Load() > 0 {
		select {
		case <-s.progress:
		case err := <-s.closed:
			return closedBy(err)
		}
	}
	return nil
}

// settled is called once n receipts are settled.
func (s *subscription) settled(n int) {
	if s.pending.Add(-int64(n)) == 0 {
		select {
		case s.progress <- struct{}{}:
		default:
		}
	}
}

// cause says why the deliveries ended without being asked to.
func (s *subscription) cause() error {
	select {
	case _, ok := <-s.cancelled:
		return s.ended(ok)
	default:
	}
	return closedBy(<-s.closed)
}

// ended says which of the two it was that was heard on s.cancelled: the broker
// has cancelled the consumer, or the channel has died and all notifications
// with it.
func (s *subscription) ended(cancelled bool) error {
	if !cancelled {
		return closedBy(<-s.closed)
	}
	return fmt.Errorf("the broker cancelled the consumer: queue %s was deleted or has moved", s.queue)
}

func closedBy(err *amqp.Error) error {
	if err == nil {
		return fmt.Errorf("channel closed: %w", amqp.ErrClosed)
	}
	return fmt.Errorf("channel closed: %w", err)
}
