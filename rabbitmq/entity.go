package rabbitmq

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
)

// errNotYet is why a queue takes nothing whose declaration has no answer yet.
var errNotYet = errors.New("the broker has yet to answer its declaration")

// entity is one exchange, queue or binding of the topology. Each is declared by
// itself, so that what is wrong with one stays with it. Its fields below after
// are guarded by declarations.mu.
type entity struct {
	name    string // with its kind
	declare func(*amqp.Channel) error
	after   []*entity // which are declared first, if they are due as well

	state    entityState
	asking   bool      // a declaration is on its way
	since    time.Time // of the state
	doubted  time.Time // when a message that came back last made it unknown
	err      error     // why it is not declared
	next     time.Time // of the next try
	failures int       // in a row
	logged   string    // what was said of the current trouble
}

type entityState int

const (
	unknown  entityState = iota // nothing was heard since it may have been lost
	declared                    // it is there
	missing                     // it could not be declared: err
)

// due reports whether e is to be asked for now.
func (e *entity) due() bool {
	switch {
	case e.asking:
		return false
	case e.state == missing:
		return !time.Now().Before(e.next)
	}
	return e.state == unknown
}

// set notes what a try has brought.
func (e *entity) set(err error, low, high time.Duration) {
	e.since, e.err = time.Now(), err
	if err == nil {
		e.state, e.failures = declared, 0
		return
	}
	e.state = missing
	pause := high
	if !permanent(err) {
		pause = min(low<<min(e.failures, 20), high)
	}
	e.failures++
	e.next = time.Now().Add(pause/2 + rand.N(pause/2+1)) //nolint:gosec // jitter is no secret
}

// entities are the topology's, as Config wants them.
type entities struct {
	all    []*entity
	queues map[string]*entity
	// exchanges holds each exchange with its bindings: an event that misses one
	// of them would be lost without a word.
	exchanges map[string][]*entity
}

func newEntities(t ackbox.Topology, passive bool) entities {
	es := entities{queues: make(map[string]*entity), exchanges: make(map[string][]*entity)}
	add := func(e *entity) *entity {
		es.all = append(es.all, e)
		return e
	}
	for _, x := range t.Exchanges {
		es.exchanges[x.Name] = []*entity{add(&entity{name: "exchange " + x.Name, declare: func(ch *amqp.Channel) error {
			return declareExchange(ch, x, passive || x.Passive)
		}})}
	}
	for _, q := range t.Queues {
		queue := add(&entity{name: "queue " + q.Name, declare: func(ch *amqp.Channel) error {
			return declareQueue(ch, q.Name, queueArgs(q), passive || q.Passive)
		}})
		es.queues[q.Name] = queue
		if passive || q.Passive {
			continue
		}
		for _, bind := range q.Bindings {
			exchange := es.exchanges[bind.Exchange]
			es.exchanges[bind.Exchange] = append(exchange, add(&entity{
				name:    fmt.Sprintf("binding of exchange %s to queue %s", bind.Exchange, q.Name),
				after:   []*entity{exchange[0], queue},
				declare: func(ch *amqp.Channel) error { return declareBinding(ch, q.Name, bind) },
			}))
		}
	}
	return es
}

// route lists what a message needs that is published for a queue or through an
// exchange of the topology, or both.
func (es entities) route(queue, exchange string) []*entity {
	needs := es.exchanges[exchange]
	if q := es.queues[queue]; q != nil {
		needs = append([]*entity{q}, needs...)
	}
	return needs
}
