package main

import (
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/rabbitmq"
	"github.com/ackbox/ackbox/worker"
)

// sizes say how much is done in one measurement.
type sizes struct {
	relay     int           // rows relayed, messages published by the bare loop
	drain     int           // jobs drained
	drainSlow int           // jobs drained by River as it comes, which does 1,000 per second
	forwarded int           // messages prepared for Watermill's forwarder
	forward   time.Duration // and how long it may take for them, at most
	bulk      int           // jobs of a bulk insert, as the issue has it
	bulks     int           // bulk inserts in a row
	enqueue   time.Duration // how long transactions are committed
	latency   time.Duration // how long jobs come at latencyRate
	quiet     time.Duration // how long jobs come at quietRate
	backlog   int           // due jobs of another queue beside them
	claims    int           // claims that are timed
	idle      time.Duration // how long nothing happens
}

var (
	fullSizes = sizes{
		relay: 100_000, drain: 60_000, drainSlow: 4_000, forwarded: 4_000, forward: 3 * time.Second, bulk: 10_000, bulks: 5,
		enqueue: 4 * time.Second, latency: 8 * time.Second, idle: 4 * time.Second,
		quiet: 20 * time.Second, backlog: 1_000_000, claims: 1_000,
	}
	quickSizes = sizes{
		relay: 20_000, drain: 20_000, drainSlow: 2_000, forwarded: 1_000, forward: time.Second, bulk: 10_000, bulks: 1,
		enqueue: time.Second, latency: 1500 * time.Millisecond, idle: time.Second,
		quiet: 4 * time.Second, backlog: 150_000, claims: 200,
	}
)

const (
	// writers is how many goroutines commit transactions at once.
	writers = 8
	// latencyRate is how many jobs per second come in the latency cases.
	latencyRate = 200
	// quietRate is how many come in the quiet queue of the isolation cases.
	quietRate = 50
	// poolSize is how many database connections each system may open, ours
	// (database/sql over pgx) and River (pgxpool) alike. It also keeps as many
	// idle, so that nobody measures connecting.
	poolSize = 16
)

// quiet drops logs: printing them is not what is measured.
var quiet = slog.New(slog.DiscardHandler)

// system is how we are set up.
type system struct {
	queues     []string // the default one unless set
	broker     rabbitmq.Config
	dispatcher dispatcher.Config
	worker     worker.Config
}

// oursDefault is Ackbox as it comes: batches of 512 with 2 in flight, a window
// of 512 unconfirmed messages, 16 handlers at once with 48 messages prefetched,
// outcomes recorded after 2 ms or 512 of them, a poll every 200 ms.
func oursDefault() system {
	return system{
		broker:     rabbitmq.Config{Logger: quiet},
		dispatcher: dispatcher.Config{Logger: quiet},
		worker:     worker.Config{Logger: quiet},
	}
}

// oursWide is Ackbox as it comes but for 1,000 handlers at once, and with them
// 2,016 messages prefetched: what riverWide is for River.
func oursWide() system {
	s := oursDefault()
	s.worker.Concurrency = 1000
	return s
}

// oursTuned is Ackbox for throughput of handlers that take no time, as River's
// own benchmark is: batches and a window of 1,000, 3 batches in flight, 64
// handlers, 4,000 messages prefetched, up to 1,000 outcomes recorded together.
func oursTuned() system {
	s := oursDefault()
	s.broker.Window = 1000
	s.dispatcher.BatchSize = 1000
	s.dispatcher.InFlight = 3
	s.worker.Concurrency = 64
	s.worker.Queues = []worker.Queue{{Name: ackbox.DefaultQueue, Prefetch: 4000}}
	s.worker.FlushSize = 1000
	return s
}

// riverDefault is River as its README sets it up: 100 workers for the default
// queue, a fetch cooldown of 100 ms, a poll every second, LISTEN/NOTIFY on.
func riverDefault() *river.Config {
	return &river.Config{
		Logger: quiet,
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 100}},
	}
}

// riverWide is River as it comes but for 1,000 workers, which raises that limit
// to 10,000 jobs per second.
func riverWide() *river.Config {
	c := riverDefault()
	c.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 1000}}
	return c
}

// riverTuned is River as its own benchmark (`river bench`) sets it up: 2,000
// workers, a fetch cooldown of 2 ms, a poll every 20 ms.
func riverTuned() *river.Config {
	c := riverDefault()
	c.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2000}}
	c.FetchCooldown = 2 * time.Millisecond
	c.FetchPollInterval = 20 * time.Millisecond
	return c
}

// watermill is how Watermill's forwarder is set up. Confirms are on and the
// queue is a quorum queue with persistent messages in either case, which are
// not its defaults: without them it would promise less than we do.
type watermillSettings struct {
	batch    int           // rows read at once
	poll     time.Duration // between looks at an empty table
	channels int           // AMQP channels kept open for publishing
}

var (
	// watermillDefault is Watermill as it comes: 100 rows read at once, a look
	// every second at an empty table, a new AMQP channel for every message.
	watermillDefault = watermillSettings{}
	// watermillTuned reads 1,000 rows at once, looks every 10 ms, and keeps 8
	// channels open, of which its forwarder uses one at a time: it handles one
	// message after the other.
	watermillTuned = watermillSettings{batch: 1000, poll: 10 * time.Millisecond, channels: 8}
)

// limitWindows are how many messages the bare loop has unconfirmed; its better
// one counts.
var limitWindows = []int{256, 1024}
