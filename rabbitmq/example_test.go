package rabbitmq_test

import (
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

// One Broker serves dispatcher, worker and sweeper. New does no I/O: the
// application starts while the broker is down.
func ExampleNew() {
	broker, err := rabbitmq.New(rabbitmq.Config{
		URL:  "amqp://shop:password@localhost:5672/shop",
		Name: "shop",
		Topology: ackbox.Topology{
			Exchanges: []ackbox.Exchange{{Name: "orders", Kind: ackbox.Topic}},
			Queues: []ackbox.Queue{
				{Name: "mail"}, // a quorum queue, reached through the default exchange
				{Name: "audit", Bindings: []ackbox.Binding{{Exchange: "orders", RoutingKey: "order.#"}}},
				{Name: "thumbnails", Type: ackbox.Classic, MaxLength: 100_000},
			},
		},
		RetryLadder: []time.Duration{time.Second, 30 * time.Second, 10 * time.Minute},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer broker.Close()
	fmt.Println(broker)

	_, err = rabbitmq.New(rabbitmq.Config{URL: "amqp://localhost", Window: -1})
	fmt.Println(err)
	// Output:
	// rabbitmq.Broker{amqp://localhost:5672/shop}
	// rabbitmq: Config.Window is -1: want 1 to 65536, or 0 for the default
}
