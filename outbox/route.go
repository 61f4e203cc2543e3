package outbox

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ackbox/ackbox/internal/name"
)

// route fills in where the job is published.
func (s *Store) route(d *draft) error {
	j := &d.job
	if len(j.Exchange) > name.MaxLen || len(j.RoutingKey) > name.MaxLen || !plain(j.Exchange) || !plain(j.RoutingKey) {
		return fmt.Errorf("exchange %.100q, routing key %.100q: want at most %d bytes of valid UTF-8 without NUL each", j.Exchange, j.RoutingKey, name.MaxLen)
	}
	if d.event {
		switch {
		case d.via:
			return errors.New("both Via and Event are given: want one")
		case j.Queue != "":
			return errors.New("both Queue and Event are given: an event has no work queue here")
		case j.Exchange == "" && j.RoutingKey == "":
			return errors.New("Event names neither exchange nor routing key: nothing could receive it")
		}
		return nil
	}
	if j.Queue == "" {
		j.Queue = s.cfg.Queues[0]
	}
	if !slices.Contains(s.cfg.Queues, j.Queue) {
		return fmt.Errorf("%w %.100q: Config.Queues has %q", ErrUnknownQueue, j.Queue, s.cfg.Queues)
	}
	if j.Exchange == "" && j.RoutingKey == "" {
		j.RoutingKey = j.Queue
	}
	if j.Exchange == "" && j.RoutingKey != j.Queue {
		return fmt.Errorf("the default exchange routes %.100q to the queue of that name, but the job is for queue %q", j.RoutingKey, j.Queue)
	}
	j.Mandatory = true
	return nil
}
