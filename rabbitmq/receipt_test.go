package rabbitmq_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/rabbitmq"
)

// tags is a broker's side of a channel: the deliveries that it waits for.
type tags struct {
	waiting      map[uint64]bool
	acked, given map[uint64]bool
	messages     int
	err          error
}

func newTags() *tags {
	return &tags{waiting: make(map[uint64]bool), acked: make(map[uint64]bool), given: make(map[uint64]bool)}
}

// Ack implements amqp.Acknowledger. Like RabbitMQ it refuses a tag that it does
// not wait for.
func (b *tags) Ack(tag uint64, multiple bool) error {
	b.messages++
	if !b.waiting[tag] {
		b.err = errors.Join(b.err, fmt.Errorf("ack of unknown tag %d", tag))
	}
	for other := range b.waiting {
		if other == tag || multiple && other < tag {
			delete(b.waiting, other)
			b.acked[other] = true
		}
	}
	return nil
}

// Nack implements amqp.Acknowledger.
func (b *tags) Nack(tag uint64, multiple, requeue bool) error {
	b.messages++
	if !b.waiting[tag] || multiple || !requeue {
		b.err = errors.Join(b.err, fmt.Errorf("nack of tag %d, multiple %t, requeue %t", tag, multiple, requeue))
	}
	delete(b.waiting, tag)
	b.given[tag] = true
	return nil
}

// Reject implements amqp.Acknowledger.
func (b *tags) Reject(uint64, bool) error { return errors.New("nobody rejects") }

// ackAll acknowledges receipts together, by the first of them.
func ackAll(t *testing.T, receipts ...core.Receipt) (rest []core.Receipt) {
	t.Helper()
	first, ok := receipts[0].(core.BatchReceipt)
	if !ok {
		t.Fatalf("%T is no BatchReceipt", receipts[0])
	}
	return first.AckAll(receipts[1:])
}

// Whatever is settled in which order and together with what: the broker forgets
// exactly what was acknowledged.
func TestAckAllAcknowledgesNothingElse(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		broker := newTags()
		next, pending := rabbitmq.NewReceipts(broker, &wire{})
		open := make(map[uint64]core.Receipt)
		acked, given := make(map[uint64]bool), make(map[uint64]bool)
		tag := uint64(0)
		for range 200 {
			for range rnd.IntN(8) {
				tag++
				broker.waiting[tag] = true
				open[tag] = next(tag)
			}
			var batch []core.Receipt
			some := rnd.IntN(3)
			for tag, receipt := range open { // in any order
				switch {
				case some > 0 && rnd.IntN(2) == 0:
					acked[tag] = true
					batch = append(batch, receipt)
				case rnd.IntN(20) == 0:
					given[tag] = true
					if err := receipt.Requeue(); err != nil {
						t.Fatal(err)
					}
				case rnd.IntN(20) == 0:
					acked[tag] = true
					if err := receipt.Ack(); err != nil {
						t.Fatal(err)
					}
				default:
					continue
				}
				delete(open, tag)
			}
			if len(batch) > 0 {
				if rest := ackAll(t, batch...); len(rest) > 0 {
					t.Fatalf("%d receipts of the same channel were left", len(rest))
				}
			}
			if broker.err != nil {
				t.Fatalf("seed %d: %v", seed, broker.err)
			}
			if len(broker.acked) != len(acked) || len(broker.given) != len(given) || len(broker.waiting) != len(open) || pending() != int64(len(open)) {
				t.Fatalf("seed %d: the broker has %d acked, %d given back, %d waiting; want %d, %d, %d (%d pending)", seed,
					len(broker.acked), len(broker.given), len(broker.waiting), len(acked), len(given), len(open), pending())
			}
			for tag := range open {
				if !broker.waiting[tag] {
					t.Fatalf("seed %d: delivery %d was settled by another's answer", seed, tag)
				}
			}
		}
	}
}

func TestAckAllIsOneMessage(t *testing.T) {
	t.Parallel()
	broker := newTags()
	next, _ := rabbitmq.NewReceipts(broker, &wire{})
	receipts := make([]core.Receipt, 100)
	for i := range receipts {
		broker.waiting[uint64(i+1)] = true
		receipts[i] = next(uint64(i + 1))
	}
	ackAll(t, receipts[:90]...)
	if broker.messages != 1 || len(broker.waiting) != 10 {
		t.Errorf("%d messages, %d deliveries left", broker.messages, len(broker.waiting))
	}
	// What lies above an unsettled delivery cannot be acknowledged together.
	ackAll(t, receipts[95], receipts[90], receipts[91], receipts[97])
	if broker.messages != 1+3 || len(broker.waiting) != 6 {
		t.Errorf("%d messages, %d deliveries left", broker.messages, len(broker.waiting))
	}
}

// Receipts of another channel, or of another kind, are not touched, and a second
// answer is none.
func TestAckAllOfStrangers(t *testing.T) {
	t.Parallel()
	broker, other := newTags(), newTags()
	next, pending := rabbitmq.NewReceipts(broker, &wire{})
	foreign, _ := rabbitmq.NewReceipts(other, &wire{})
	broker.waiting[1], broker.waiting[2], other.waiting[1] = true, true, true
	first, second, stranger := next(1), next(2), foreign(1)
	rest := ackAll(t, first, stranger, second, first, nil)
	if len(rest) != 2 || rest[0] != stranger || rest[1] != nil {
		t.Errorf("left over: %v", rest)
	}
	if broker.err != nil || len(broker.waiting) != 0 || len(other.waiting) != 1 || pending() != 0 {
		t.Errorf("%v, %d and %d waiting, %d pending", broker.err, len(broker.waiting), len(other.waiting), pending())
	}
	if second.Ack() == nil || first.Requeue() == nil {
		t.Error("a second answer was taken")
	}
	ackAll(t, first)
	if broker.messages != 1 || pending() != 0 {
		t.Errorf("%d messages, %d pending", broker.messages, pending())
	}
}
