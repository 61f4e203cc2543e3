package main

import (
	"context"
	"errors"

	"github.com/ackbox/ackbox"
)

// relayCases measure the way from the table to the broker alone.
func relayCases() []Case {
	return []Case{{
		name:  "relay_vs_limit",
		rows:  []row{{name: "relay_vs_limit", figure: "rate", unit: "msg/s", ratio: 0.90}},
		ours:  relay(oursDefault),
		other: limit,
	}, {
		name:  "relay_tuned_vs_limit",
		rows:  []row{{name: "relay_tuned_vs_limit", figure: "rate", unit: "msg/s"}},
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
		elapsed, err := env.timed(func() error { return a.relay(ctx, a.broker, n) })
		if err != nil {
			return nil, err
		}
		return figures{"rate": float64(n) / elapsed.Seconds()}, env.expect(ctx, n, `SELECT count(*) FROM ackbox_jobs WHERE state = 'sent'`)
	}
}

// limit measures the bare loop: the better of its windows.
func limit(ctx context.Context, env *Env) (figures, error) {
	best := 0.0
	for _, window := range limitWindows {
		rate, err := publishBare(ctx, env, env.sizes.relay, window)
		if err != nil {
			return nil, err
		}
		best = max(best, rate)
	}
	return figures{"rate": best}, nil
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
	elapsed, err := env.timed(func() error {
		if err := a.relay(ctx, broker, n); err != nil {
			return err
		}
		return broker.arrived(ctx, n)
	})
	if err != nil {
		return nil, err
	}
	return figures{"rate": float64(n) / elapsed.Seconds()}, env.expect(ctx, n, `SELECT count(*) FROM ackbox_jobs WHERE state = 'sent'`)
}
