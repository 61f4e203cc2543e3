package rabbitmq_test

import (
	"errors"
	"fmt"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox/rabbitmq"
)

// RabbitMQ's words for a queue whose node is down are "not found", too.
func TestDeletedIsNotDown(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]bool{
		"NOT_FOUND - no queue 'default' in vhost '/'":                                                      true,
		"NOT_FOUND - home node 'rabbit@b' of durable queue 'default' in vhost '/' is down or inaccessible": false,
		"NOT_FOUND - queue 'default' in vhost '/' has crashed and failed to restart":                       false,
		"NOT_FOUND - queue 'default' in vhost '/' process is stopped by supervisor":                        false,
		"NOT_FOUND - failed to perform operation on queue 'default' in vhost '/' due to timeout":           false,
	} {
		if got := rabbitmq.Deleted(fmt.Errorf("asked: %w", &amqp.Error{Code: amqp.NotFound, Reason: reason})); got != want {
			t.Errorf("%q: deleted %v, want %v", reason, got, want)
		}
	}
	if rabbitmq.Deleted(nil) || rabbitmq.Deleted(errors.New("no queue 'default'")) {
		t.Error("deleted without the broker's word")
	}
}
