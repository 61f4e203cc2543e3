package main

import (
	"context"
	"errors"
	"strings"

	"github.com/ackbox/ackbox"
)

// relayCases measure the way from the table to the broker alone.
func relayCases() []Case {
	return []Case{{
		name:  "relay_vs_limit",
		rows:  relayRows("relay_vs_limit", 0.90),
		ours:  relay(oursDefault),
		other: limit,
	}, {
		name:  "relay_tuned_vs_limit",
		rows:  relayRows("relay_tuned_vs_limit", 0),
		ours:  relay(oursTuned),
		other: limit,
		extra: true,
	}, {
		name:  "confirm_cost",
		rows:  []row{{name: "confirm_cost", figure: "rate", unit: "msg/s"}},
		ours:  relay(oursDefault),
		other: relayUnconfirmed,
	}}
}

// relayRows are the rate, and what decides about it where all share a machine.
func relayRows(name string, bound float64) []row {
	cpu := "cpu_per_msg" + strings.TrimPrefix(name, "relay")
	return []row{
		{name: name, figure: "rate", unit: "msg/s", ratio: bound},
		{name: cpu, figure: "cpu", unit: "µs of our process", cost: true},
		{name: cpu + "_rabbitmq", figure: "rabbitmq_cpu", unit: "µs of RabbitMQ", cost: true},
		{name: cpu + "_total", figure: "total_cpu", unit: "µs in all", cost: true},
	}
}

// relay measures a dispatcher that carries a backlog to a quorum queue, from
// the first claim until the last row is committed as sent. The connection to
// the broker stands before, as the bare loop's does.
func relay(set func() system) side {
	return func(ctx context.Context, env *Env) (f figures, err error) {
		a, err := openOurs(ctx, env.Database, env.AMQP, set())
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, a.close()) }()
		n := env.sizes.relay
		if err := errors.Join(a.backlog(ctx, env, n), a.broker.Ready(ctx)); err != nil {
			return nil, err
		}
		f, err = env.metered(ctx, n, func() error { return a.relay(ctx, a.broker, n) })
		if err != nil {
			return nil, err
		}
		return f, env.expect(ctx, n, `SELECT count(*) FROM ackbox_jobs WHERE state = 'sent'`)
	}
}

// limit measures the bare loop: the better of its windows.
func limit(ctx context.Context, env *Env) (figures, error) {
	var best figures
	for _, window := range limitWindows {
		f, err := publishBare(ctx, env, env.sizes.relay, window)
		if err != nil {
			return nil, err
		}
		if best == nil || f["rate"] > best["rate"] {
			best = f
		}
	}
	return best, nil
}

// relayUnconfirmed is relay with the same dispatcher on the same rows, and a
// broker that believes every message sent as soon as it is written: no confirm
// mode, no mandatory flag, nothing to wait for. So the difference is what
// confirms cost us, and not what the table costs. It is over when the broker
// has every message in the queue, as with confirms.
func relayUnconfirmed(ctx context.Context, env *Env) (f figures, err error) {
	a, err := openOurs(ctx, env.Database, env.AMQP, oursDefault())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	n := env.sizes.relay
	if err := a.backlog(ctx, env, n); err != nil {
		return nil, err
	}
	broker, err := openUnconfirmed(env.AMQP, ackbox.DefaultQueue)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, broker.close()) }()
	f, err = env.metered(ctx, n, func() error {
		if err := a.relay(ctx, broker, n); err != nil {
			return err
		}
		return broker.arrived(ctx, n)
	})
	if err != nil {
		return nil, err
	}
	return f, env.expect(ctx, n, `SELECT count(*) FROM ackbox_jobs WHERE state = 'sent'`)
}
