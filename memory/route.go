package memory

import "github.com/ackbox/ackbox"

// routes is the topology as seen from a publisher. It never changes.
type routes struct {
	queues    map[string]*queue // the default exchange: routing key to queue
	exchanges map[string]*exchange
}

type exchange struct {
	kind     ackbox.ExchangeKind
	bindings []binding
}

type binding struct {
	key     string
	pattern []string // words of key, for a topic exchange
	queue   *queue
}

func newRoutes(t ackbox.Topology, queues map[string]*queue) routes {
	r := routes{queues: queues, exchanges: make(map[string]*exchange, len(t.Exchanges))}
	for _, x := range t.Exchanges {
		r.exchanges[x.Name] = &exchange{kind: x.Kind}
	}
	for _, q := range t.Queues {
		for _, bound := range q.Bindings {
			x := r.exchanges[bound.Exchange]
			x.bindings = append(x.bindings, binding{
				key:     bound.RoutingKey,
				pattern: words(bound.RoutingKey),
				queue:   queues[q.Name],
			})
		}
	}
	return r
}

// lookup returns the queues that a message goes to, each once however many of
// its bindings match. ok is false if there is no such exchange.
func (r routes) lookup(name, key string) (targets []*queue, ok bool) {
	if name == "" {
		if q := r.queues[key]; q != nil {
			targets = []*queue{q}
		}
		return targets, true
	}
	x, ok := r.exchanges[name]
	if !ok {
		return nil, false
	}
	var split []string
	if x.kind == ackbox.Topic {
		split = words(key)
	}
	for _, bound := range x.bindings {
		// A queue's bindings follow one another, so the last target is the
		// only one that can repeat.
		if n := len(targets); n > 0 && targets[n-1] == bound.queue {
			continue
		}
		if x.matches(bound, key, split) {
			targets = append(targets, bound.queue)
		}
	}
	return targets, true
}

func (x *exchange) matches(bound binding, key string, split []string) bool {
	switch x.kind {
	case ackbox.Fanout:
		return true
	case ackbox.Topic:
		return matchTopic(bound.pattern, split)
	default:
		return bound.key == key
	}
}
