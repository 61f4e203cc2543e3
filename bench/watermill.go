package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wamqp "github.com/ThreeDotsLabs/watermill-amqp/v3/pkg/amqp"
	wsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/components/forwarder"
	"github.com/ThreeDotsLabs/watermill/message"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// watermillCases measure the way from the table to the broker against
// Watermill's forwarder.
func watermillCases() []Case {
	return []Case{{
		name:  "drain_vs_watermill",
		rows:  []row{{name: "drain_vs_watermill", figure: "rate", unit: "msg/s", ratio: 15}},
		ours:  relay(oursDefault),
		other: forward(watermillDefault),
	}, {
		name:  "drain_vs_watermill_tuned",
		rows:  []row{{name: "drain_vs_watermill_tuned", figure: "rate", unit: "msg/s"}},
		ours:  relay(oursDefault),
		other: forward(watermillTuned),
		extra: true,
	}}
}

const forwarderTopic = "forward"

// forward measures Watermill's forwarder on prepared messages: how many reach
// the broker, confirmed, until there are no more of them or the time is up. Its
// clock starts when the forwarder says that it is running.
func forward(set watermillSettings) side {
	return func(ctx context.Context, env *Env) (f figures, err error) {
		db, err := sql.Open("pgx", env.Database)
		if err != nil {
			return nil, fmt.Errorf("open the database: %w", err)
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		db.SetMaxOpenConns(poolSize)
		db.SetMaxIdleConns(poolSize)
		schema := wsql.DefaultPostgreSQLSchema{SubscribeBatchSize: set.batch}
		subscriber, err := wsql.NewSubscriber(wsql.BeginnerFromStdSQL(db), wsql.SubscriberConfig{
			SchemaAdapter: schema, OffsetsAdapter: wsql.DefaultPostgreSQLOffsetsAdapter{}, PollInterval: set.poll,
		}, watermill.NopLogger{})
		if err != nil {
			return nil, fmt.Errorf("make a subscriber: %w", err)
		}
		if err := subscriber.SubscribeInitialize(forwarderTopic); err != nil {
			return nil, fmt.Errorf("make Watermill's tables: %w", err)
		}
		if err := prepareForward(ctx, db, schema, env.sizes.forwarded); err != nil {
			return nil, err
		}
		if err := env.settle(ctx); err != nil {
			return nil, err
		}
		out, err := openWatermillAMQP(env.AMQP, set)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, out.Close()) }()
		rate, err := runForwarder(ctx, env, subscriber, out)
		return figures{"rate": rate}, err
	}
}

// prepareForward publishes n messages through the forwarder's publisher, some
// in each transaction.
func prepareForward(ctx context.Context, db *sql.DB, schema wsql.SchemaAdapter, n int) error {
	const each = 500
	for first := 0; first < n; first += each {
		messages := make([]*message.Message, min(each, n-first))
		for i := range messages {
			body, err := encoded(newOrder(int64(first + i)))
			if err != nil {
				return err
			}
			messages[i] = message.NewMessage(outbox.NewID(), body)
		}
		if err := publishInTransaction(ctx, db, schema, messages); err != nil {
			return fmt.Errorf("prepare messages: %w", err)
		}
	}
	return nil
}

func publishInTransaction(ctx context.Context, db *sql.DB, schema wsql.SchemaAdapter, messages []*message.Message) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	in, err := wsql.NewPublisher(wsql.TxFromStdSQL(tx), wsql.PublisherConfig{SchemaAdapter: schema}, watermill.NopLogger{})
	if err != nil {
		return err
	}
	decorated := forwarder.NewPublisher(in, forwarder.PublisherConfig{ForwarderTopic: forwarderTopic})
	if err := decorated.Publish(ackbox.DefaultQueue, messages...); err != nil {
		return err
	}
	return tx.Commit()
}

// openWatermillAMQP is Watermill's publisher to a durable quorum queue, with
// confirms; its messages are persistent by default.
func openWatermillAMQP(url string, set watermillSettings) (*countingPublisher, error) {
	config := wamqp.NewDurableQueueConfig(url)
	config.Queue.Arguments = amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum}
	config.Publish.ConfirmDelivery = true
	config.Publish.ChannelPoolSize = set.channels
	p, err := wamqp.NewPublisher(config, watermill.NopLogger{})
	if err != nil {
		return nil, fmt.Errorf("make a publisher: %w", err)
	}
	return &countingPublisher{Publisher: p}, nil
}

// countingPublisher counts what was published, and so confirmed.
type countingPublisher struct {
	message.Publisher
	count atomic.Int64
}

// Publish implements message.Publisher.
func (c *countingPublisher) Publish(topic string, messages ...*message.Message) error {
	if err := c.Publisher.Publish(topic, messages...); err != nil {
		return err
	}
	c.count.Add(int64(len(messages)))
	return nil
}

func runForwarder(ctx context.Context, env *Env, in message.Subscriber, out *countingPublisher) (rate float64, err error) {
	f, err := forwarder.NewForwarder(in, out, watermill.NopLogger{}, forwarder.Config{ForwarderTopic: forwarderTopic})
	if err != nil {
		return 0, fmt.Errorf("make a forwarder: %w", err)
	}
	_, err = env.timed(func() error {
		l := start(ctx, f.Run)
		select {
		case <-f.Running():
		case <-l.ctx.Done():
			return l.end(l.ctx.Err())
		}
		began := time.Now()
		err := await(l.ctx, func() (bool, error) {
			return out.count.Load() >= int64(env.sizes.forwarded) || time.Since(began) >= env.sizes.forward, nil
		})
		rate = float64(out.count.Load()) / time.Since(began).Seconds()
		return errors.Join(l.end(err), f.Close())
	})
	return rate, err
}
