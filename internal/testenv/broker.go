package testenv

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"

	"github.com/ackbox/ackbox/internal/testenv/management"
)

// Queue is a queue of a vhost and its counts, which lag by half a second, those
// of a quorum queue by up to 5 s.
type Queue = management.Queue

// Broker is the vhost of one test, as an outsider sees and disturbs it through
// RabbitMQ's management API. Its methods fail the test if they fail.
type Broker struct {
	tb    testing.TB
	api   *management.Client
	vhost string
	user  string
	url   string
}

var brokers perTest[*Broker]

// AMQPURL returns the amqp URL of a vhost of the test's own, with a user of its
// own in it. Both are deleted when the test ends.
func AMQPURL(tb testing.TB) string {
	tb.Helper()
	return Rabbit(tb).URL()
}

// Rabbit returns the test's own vhost (the one of AMQPURL).
func Rabbit(tb testing.TB) *Broker {
	tb.Helper()
	return brokers.get(tb, func(ctx context.Context) (*Broker, func(context.Context) error, error) {
		b, closeFn, err := newBroker(ctx)
		if err == nil {
			b.tb = tb
		}
		return b, closeFn, err
	})
}

func newBroker(ctx context.Context) (*Broker, func(context.Context) error, error) {
	server, errAMQP := variable(AMQPVar)
	address, errAPI := variable(APIVar)
	if err := errors.Join(errAMQP, errAPI); err != nil {
		return nil, nil, err
	}
	api, err := management.New(address)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", APIVar, err)
	}
	// One user for each vhost: whose connections are to be cut is then certain.
	name, password := randomName(), randomName()
	own, err := withVhost(server, name, name, password)
	if err != nil {
		return nil, nil, err
	}
	if err := api.CreateVhost(ctx, name, name, password); err != nil {
		return nil, nil, fmt.Errorf("create a vhost through %s: %w", APIVar, err)
	}
	return &Broker{api: api, vhost: name, user: name, url: own},
		func(ctx context.Context) error { return api.DeleteVhost(ctx, name, name) }, nil
}

// withVhost returns a server's URL with another vhost and user in it.
func withVhost(server, vhost, user, password string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "amqp" && u.Scheme != "amqps" || u.Host == "" {
		// The URL itself may hold a password: it is not shown.
		return "", errors.New(AMQPVar + " must look like amqp://user:password@host:5672/")
	}
	u.User = url.UserPassword(user, password)
	u.Path = "/" + vhost
	return u.String(), nil
}

// URL returns the amqp URL of the vhost.
func (b *Broker) URL() string { return b.url }

// Vhost returns the name of the vhost.
func (b *Broker) Vhost() string { return b.vhost }

// CloseConnections cuts every connection to the vhost, as an administrator
// would, and returns how many there were. It waits until at least one is open:
// the server lists a connection some milliseconds after its client has it. A
// test that wants several cut passes their number, and it waits for as many.
func (b *Broker) CloseConnections(atLeast ...int) int {
	b.tb.Helper()
	want, closed := 1, 0
	for _, n := range atLeast {
		want = n
	}
	call(b.tb, "close connections", func(ctx context.Context) (err error) {
		closed, err = b.api.CloseConnections(ctx, b.user, want)
		return err
	})
	return closed
}

// SetPermissions changes what the test's user may do in the vhost: patterns of names, "^$"
// for nothing. A channel may know its permissions for some seconds more.
func (b *Broker) SetPermissions(configure, write, read string) {
	b.tb.Helper()
	call(b.tb, "set permissions", func(ctx context.Context) error {
		return b.api.SetPermissions(ctx, b.vhost, b.user, configure, write, read)
	})
}

// Queues lists the vhost's queues.
func (b *Broker) Queues() []Queue {
	b.tb.Helper()
	var queues []Queue
	call(b.tb, "list queues", func(ctx context.Context) (err error) {
		queues, err = b.api.Queues(ctx, b.vhost)
		return err
	})
	return queues
}

// DeclareQueue declares a durable queue, with arguments such as x-queue-type.
func (b *Broker) DeclareQueue(name string, args map[string]any) {
	b.tb.Helper()
	call(b.tb, "declare queue "+name, func(ctx context.Context) error {
		return b.api.DeclareQueue(ctx, b.vhost, name, args)
	})
}

// DeleteQueue deletes a queue and what is in it.
func (b *Broker) DeleteQueue(name string) {
	b.tb.Helper()
	call(b.tb, "delete queue "+name, func(ctx context.Context) error {
		return b.api.DeleteQueue(ctx, b.vhost, name)
	})
}

// DeclareExchange declares a durable exchange of a kind such as "topic".
func (b *Broker) DeclareExchange(name, kind string) {
	b.tb.Helper()
	call(b.tb, "declare exchange "+name, func(ctx context.Context) error {
		return b.api.DeclareExchange(ctx, b.vhost, name, kind)
	})
}

// DeleteExchange deletes an exchange and its bindings.
func (b *Broker) DeleteExchange(name string) {
	b.tb.Helper()
	call(b.tb, "delete exchange "+name, func(ctx context.Context) error {
		return b.api.DeleteExchange(ctx, b.vhost, name)
	})
}
