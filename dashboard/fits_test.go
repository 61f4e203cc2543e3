package dashboard_test

import (
	"github.com/ackbox/ackbox/dashboard"
	"github.com/ackbox/ackbox/memory"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

// What the page asks of its neighbours they answer.
var (
	_ dashboard.Ledger = (*outbox.Store)(nil)
	_ dashboard.Broker = (*rabbitmq.Broker)(nil)
	_ dashboard.Broker = (*memory.Broker)(nil)
)
