package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ackbox/ackbox"
)

const (
	queueOrders = "orders"
	// exchangeEvents is the topic exchange that order.placed goes to.
	exchangeEvents = "orders.events"
)

// topology is everything this application uses on the broker. It is declared
// by whichever process connects first.
var topology = ackbox.Topology{
	Queues:    []ackbox.Queue{{Name: queueOrders}},
	Exchanges: []ackbox.Exchange{{Name: exchangeEvents, Kind: ackbox.Topic}},
}

type config struct {
	role        string
	addr        string
	databaseURL string
	amqpURL     string
	cancelAfter time.Duration
	mailer      mailer
	// Who may use the dashboard, and the SHA-256 of the password in hex.
	opsUser, opsPassword string
	// Where spans are written, as lines of JSON; nowhere if it is empty.
	traceFile string
}

// does reports whether this process plays the part.
func (c config) does(part string) bool { return c.role == "all" || c.role == part }

// defaultAddr is where a process listens that is told nothing else. Of those that take no
// orders there may be many on one machine: any port will do, and the log says which.
func defaultAddr(role string) string {
	if role == "dispatcher" || role == "worker" {
		return "127.0.0.1:0"
	}
	return "127.0.0.1:8080"
}

// configFromEnv reads and checks the whole configuration, and reports
// everything that is wrong with it at once.
func configFromEnv(role string, args []string) (config, error) {
	c := config{
		role:        role,
		addr:        cmp.Or(os.Getenv("ADDR"), defaultAddr(role)),
		databaseURL: os.Getenv("DATABASE_URL"),
		amqpURL:     os.Getenv("AMQP_URL"),
		cancelAfter: 30 * time.Minute,
		mailer:      mailer{fault: os.Getenv("MAIL_FAULT")},
		opsUser:     os.Getenv("OPS_USER"),
		opsPassword: os.Getenv("OPS_PASSWORD_SHA256"),
		traceFile:   os.Getenv("TRACE_FILE"),
	}
	var errs []error
	switch role {
	case "all", "web", "dispatcher", "worker":
	default:
		errs = append(errs, fmt.Errorf("-role is %q: want all, web, dispatcher or worker", role))
	}
	if len(args) > 0 {
		errs = append(errs, fmt.Errorf("unexpected arguments %q: everything but -role comes from the environment", args))
	}
	if c.databaseURL == "" {
		errs = append(errs, errors.New("DATABASE_URL is not set: want a postgres:// URL"))
	}
	if c.amqpURL == "" && role != "web" {
		errs = append(errs, errors.New("AMQP_URL is not set: want an amqp:// or amqps:// URL"))
	}
	for name, to := range map[string]*time.Duration{"CANCEL_AFTER": &c.cancelAfter, "MAIL_TAKES": &c.mailer.takes} {
		text := os.Getenv(name)
		if text == "" {
			continue
		}
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			errs = append(errs, fmt.Errorf("%s is %q: want a duration such as 30m", name, text))
		}
		*to = d
	}
	return c, errors.Join(errs...)
}
