package main

import (
	"net/http"

	"github.com/ackbox/ackbox/dashboard"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

// boardPath is where the dashboard is served.
const boardPath = "/ops/jobs/"

// newBoard makes the dashboard. Whoever knows the operator's password may do everything;
// without one it shows nobody anything, and says how to change that. mq may be nil: then
// nothing is told of the broker.
func newBoard(cfg config, store *outbox.Store, mq *rabbitmq.Broker) (http.Handler, error) {
	board := dashboard.Config{Name: "orders"}
	if mq != nil {
		board.Broker = mq
	}
	if cfg.opsUser != "" {
		authorize, err := dashboard.BasicAuth(dashboard.Account{
			Name: cfg.opsUser, PasswordSHA256: cfg.opsPassword, Can: dashboard.Everything,
		})
		if err != nil {
			return nil, err
		}
		board.Authorize = authorize
	}
	h, err := dashboard.New(store, board)
	if err != nil {
		return nil, err
	}
	return http.StripPrefix("/ops/jobs", h), nil
}
