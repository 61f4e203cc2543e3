package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/worker"
)

// sweep changes one setting and leaves the others at their defaults.
type sweep struct {
	name   string
	points []point
	series []series
}

// point is one value of the setting.
type point struct {
	x     float64
	trial trial
}

// series is a figure that is followed over all points.
type series struct{ name, figure, unit string }

// growSizes say how many rows a point has.
type growSizes struct {
	relay int   // where they are relayed only
	drain int   // where they are drained, too
	bytes int64 // at most, of payload
}

var (
	fullGrow  = growSizes{relay: 50_000, drain: 15_000, bytes: 100_000_000}
	quickGrow = growSizes{relay: 5_000, drain: 1_500, bytes: 10_000_000}
)

func allSweeps(quick bool) []sweep {
	sizes := fullGrow
	if quick {
		sizes = quickGrow
	}
	return []sweep{instancesSweep(sizes), batchSweep(sizes), payloadSweep(sizes), queuesSweep(sizes), prefetchSweep(sizes)}
}

func pointsOf(values []int, at func(int) trial) []point {
	points := make([]point, len(values))
	for i, x := range values {
		points[i] = point{x: float64(x), trial: at(x)}
	}
	return points
}

// ordersTrial is a trial with the orders that all of the bench has for jobs.
func ordersTrial(rows int) trial {
	return trial{
		set: oursDefault(), instances: 1, rows: rows, chunk: chunk,
		item: func(i int) outbox.Item { return outbox.Item{Args: newOrder(int64(i))} },
	}
}

// instancesSweep has one table relayed by ever more dispatchers, and its queue
// drained by as many workers.
func instancesSweep(sizes growSizes) sweep {
	return sweep{
		name: "instances",
		points: pointsOf([]int{1, 2, 4, 8}, func(n int) trial {
			t := ordersTrial(2 * sizes.drain) // or 8 dispatchers would have few batches each
			t.instances, t.drain = n, true
			return t
		}),
		series: []series{{"dispatchers", "relay", "msg/s"}, {"workers", "drain", "jobs/s"}},
	}
}

// batchSweep has the broker's window as large as the dispatcher's batch, so that
// a batch is one window.
func batchSweep(sizes growSizes) sweep {
	return sweep{
		name: "batch",
		points: pointsOf([]int{50, 100, 256, 512, 1000, 2000}, func(n int) trial {
			t := ordersTrial(sizes.relay)
			t.set.dispatcher.BatchSize, t.set.broker.Window = n, n
			return t
		}),
		series: []series{{"rate", "relay", "msg/s"}, {"p50", "batch_p50", "ms"}, {"p99", "batch_p99", "ms"}},
	}
}

const (
	// batchBytes bounds the payload of a batch: memory, and the time that a
	// batch has to be confirmed in, would not do for 256 messages of 1 MB.
	batchBytes = 16_000_000
	// chunkBytes bounds the payload of a transaction that prepares a backlog.
	chunkBytes = 8_000_000
)

// payloadSweep has ever larger messages, and the fewer of them.
func payloadSweep(sizes growSizes) sweep {
	return sweep{
		name: "payload",
		points: pointsOf([]int{100, 1_000, 10_000, 100_000, 1_000_000}, func(size int) trial {
			item := outbox.Item{Args: newParcel(size)}
			t := ordersTrial(min(sizes.relay, int(sizes.bytes)/size))
			t.item = func(int) outbox.Item { return item }
			t.payload, t.store.MaxPayloadBytes = size, size
			t.set.dispatcher.BatchSize = min(256, batchBytes/size)
			t.chunk = min(chunk, chunkBytes/size)
			return t
		}),
		series: []series{{"messages", "relay", "msg/s"}, {"bytes", "bytes", "MB/s"}},
	}
}

// parcel is a job of a chosen size.
type parcel struct {
	Body string `json:"body"`
}

// Kind implements ackbox.Args.
func (parcel) Kind() string { return "bench.parcel" }

// newParcel has size bytes when encoded, of letters that PostgreSQL cannot
// compress: it would store and log less than what was asked for.
func newParcel(size int) parcel {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	body := make([]byte, size-len(`{"body":""}`))
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret: the same in each run
	for i := range body {
		body[i] = letters[random.IntN(len(letters))]
	}
	return parcel{Body: string(body)}
}

// queuesSweep spreads a backlog evenly over ever more quorum queues, job by job.
func queuesSweep(sizes growSizes) sweep {
	return sweep{
		name: "queues",
		points: pointsOf([]int{1, 2, 5, 10, 20, 50, 100, 200}, func(n int) trial {
			t := ordersTrial(sizes.drain)
			t.drain = true
			t.set.broker.DialTimeout = time.Minute // they are declared within one
			to := make([]outbox.Option, n)
			for i := range n {
				name := fmt.Sprintf("work_%03d", i)
				to[i] = outbox.Queue(name)
				t.store.Queues = append(t.store.Queues, name)
				t.set.broker.Topology.Queues = append(t.set.broker.Topology.Queues, ackbox.Queue{Name: name})
				t.set.worker.Queues = append(t.set.worker.Queues, worker.Queue{Name: name})
			}
			t.item = func(i int) outbox.Item {
				return outbox.Item{Args: newOrder(int64(i)), Options: to[i%n : i%n+1]}
			}
			return t
		}),
		series: []series{{"dispatcher", "relay", "msg/s"}, {"worker", "drain", "jobs/s"}},
	}
}

// prefetchSweep leaves the 16 handlers as they are.
func prefetchSweep(sizes growSizes) sweep {
	return sweep{
		name: "prefetch",
		points: pointsOf([]int{16, 48, 128, 512, 2000}, func(n int) trial {
			t := ordersTrial(sizes.drain)
			t.drain = true
			t.set.worker.Queues = []worker.Queue{{Name: ackbox.DefaultQueue, Prefetch: n}}
			return t
		}),
		series: []series{{"worker", "drain", "jobs/s"}},
	}
}
