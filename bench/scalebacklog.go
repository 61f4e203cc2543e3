package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/outbox"
)

// backlog measures what a backlog of an hour's outage does to a dispatcher:
// beside a small one, and slice by slice.
func (s *scale) backlog(ctx context.Context) error {
	rows := s.options.rows
	before, err := s.reference(ctx, "backlog", "reference before")
	if err != nil {
		return err
	}
	r := relaying{scale: s, step: "backlog", rows: rows}
	err = s.within(ctx, func(ctx context.Context, env *Env, a *app) error {
		return r.explained(ctx, env, a)
	})
	if err != nil {
		return err
	}
	// What the machine did to one of them must not make us look well.
	after, err := s.reference(ctx, "backlog", "reference after")
	reference := before
	if err == nil && after.rate > before.rate {
		reference = after
	}
	part := min(referenceRows(rows), rows/3)
	return errors.Join(
		err,
		r.add("first", r.pace(0, part), reference),
		r.add("middle", r.pace((rows-part)/2, (rows+part)/2), reference),
		r.add("last", r.pace(rows-part, rows), reference),
		r.add("whole", r.pace(0, rows), reference),
		r.addMemory("whole"),
	)
}

// reference measures the same with so few rows that the table counts as empty.
func (s *scale) reference(ctx context.Context, step, name string) (p relayPace, err error) {
	err = s.within(ctx, func(ctx context.Context, env *Env, a *app) error {
		r := relaying{scale: s, step: step, rows: referenceRows(s.options.rows)}
		if err := r.run(ctx, env, a, a.store, outbox.DefaultTable); err != nil {
			return err
		}
		p = r.pace(0, r.rows)
		return errors.Join(r.add(name, p, p), r.addMemory(name))
	})
	if err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// referenceRows is how many rows a table has that counts as nearly empty.
func referenceRows(rows int) int { return max(20_000, rows/33) }

// relaying measures a dispatcher that carries rows that are all due.
type relaying struct {
	*scale

	step string
	rows int

	// stops are what is done, once, when so many jobs are sent.
	stops []stop

	began   time.Time
	batches []batch
	failed  int
	memory  *memory
}

type stop struct {
	at int
	do func(context.Context) error
}

// explained is run with the plan of the claim at its start, in its middle,
// near its end, and after it, when all that is left of the rows is in the way.
func (r *relaying) explained(ctx context.Context, env *Env, a *app) (err error) {
	e, err := openExplainer(env.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	explain := func(name string) func(context.Context) error {
		return func(ctx context.Context) error {
			plan, err := e.explain(ctx)
			if err != nil { // no reason to give up what is being measured
				r.say("no plan of the claim, %s: %v", name, err)
				return nil
			}
			r.say("the claim, %s: %s", name, plan)
			return r.report.add(measurement{step: r.step, name: "explain " + name, values: planValues(plan), plan: plan})
		}
	}
	r.stops = []stop{{0, explain("start")}, {r.rows / 2, explain("middle")}, {r.rows - r.rows/50, explain("end")}, {r.rows, explain("empty")}}
	return r.run(ctx, env, a, a.store, outbox.DefaultTable)
}

// run writes rows of a store's table and has all of them relayed.
func (r *relaying) run(ctx context.Context, env *Env, a *app, store *outbox.Store, table string) error {
	f, err := newFiller(ctx, env, a, store, table)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := f.fill(ctx, r.rows, began.Add(-time.Hour), pendingColumns, r.say); err != nil {
		return err
	}
	if err := r.filled(ctx, f, r.step, fmt.Sprintf("%d pending", r.rows), time.Since(began)); err != nil {
		return err
	}
	if err := errors.Join(env.checkpoint(ctx), a.broker.Ready(ctx), r.pass(ctx, 0)); err != nil {
		return err
	}
	if err := r.relay(ctx, env, a, store); err != nil {
		return err
	}
	return env.expect(ctx, r.rows, `SELECT count(*) FROM `+table+` WHERE state = 'sent'`)
}

// relay runs the dispatcher until all rows are sent.
func (r *relaying) relay(ctx context.Context, env *Env, a *app, store *outbox.Store) error {
	claims := newTimed(store, r.rows)
	d, err := dispatcher.New(claims, a.broker, a.set.dispatcher)
	if err != nil {
		return err
	}
	r.memory = newMemory()
	said := time.Now()
	r.began = said
	l := start(ctx, d.Run, r.memory.watch, keepEmpty(env.AMQP, ackbox.DefaultQueue))
	err = l.end(await(l.ctx, func() (bool, error) {
		sent := claims.relayed()
		if time.Since(said) > time.Minute {
			said = time.Now()
			r.say("%d of %d jobs are sent", sent, r.rows)
		}
		return sent >= r.rows, r.pass(l.ctx, sent)
	}))
	r.batches, r.failed = claims.all()
	return err
}

// pass does what is to be done up to sent.
func (r *relaying) pass(ctx context.Context, sent int) error {
	for len(r.stops) > 0 && r.stops[0].at <= sent {
		do := r.stops[0].do
		r.stops = r.stops[1:]
		if err := do(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *relaying) pace(from, to int) relayPace { return paceOf(r.batches, r.began, from, to) }

func (r *relaying) add(name string, p, reference relayPace) error {
	return r.report.add(measurement{step: r.step, name: name, values: []value{
		{"jobs_per_s", p.rate},
		{"claim_p50_ms", p.p50},
		{"claim_p99_ms", p.p99},
		{"seconds", p.seconds},
		{"rate_to_reference", p.rate / reference.rate},
		{"p50_to_reference", p.p50 / reference.p50},
		{"p99_to_reference", p.p99 / reference.p99},
		{"failed_relays", float64(r.failed)},
	}})
}

func (r *relaying) addMemory(name string) error {
	return r.report.add(measurement{step: r.step, name: "memory, " + name, values: r.memory.values()})
}

// purgeEvery is how often the queue is emptied.
const purgeEvery = 2 * time.Second

// keepEmpty returns a loop that empties a queue: how the broker copes with
// millions of messages that nobody consumes is not what is measured.
func keepEmpty(url, queue string) func(context.Context) error {
	return func(ctx context.Context) (err error) {
		conn, err := amqp.Dial(url)
		if err != nil {
			return fmt.Errorf("empty the queue: connect: %w", err)
		}
		defer func() { err = errors.Join(err, conn.Close()) }()
		ch, err := conn.Channel()
		if err != nil {
			return fmt.Errorf("empty the queue: %w", err)
		}
		for pause(ctx, purgeEvery) {
			if _, err := ch.QueuePurge(queue, false); err != nil {
				return fmt.Errorf("empty the queue: %w", err)
			}
		}
		return nil
	}
}
