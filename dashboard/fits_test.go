package dashboard_test

import (
	"github.com/ackbox/ackbox/dashboard"
	"github.com/ackbox/ackbox/outbox"
)

// What the page asks of the ledger the Store answers.
var _ dashboard.Ledger = (*outbox.Store)(nil)
