package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/ackbox/ackbox/internal/core"
)

// Beat says that an instance is alive, and returns who else is, and which queues are
// paused. It is to be called
// every [core.BeatInterval] for as long as jobs are in its hands, and before it takes
// the first. An instance that was silent for [core.Silence] is dead for the others, if
// one of these was not silent all that time.
//
// On PostgreSQL beats have a connection of their own, which no handler can take away:
// it is taken from the pool by the first beat, if the pool may have more than one, and
// given back by [Store.Leave] or a while after the last beat. (A dispatcher, which holds
// nothing, beats by any.) One call takes
// core.BeatInterval at most. Safe for concurrent use; instances of one Store share that
// connection.
func (s *Store) Beat(ctx context.Context, instance core.Instance) (core.Census, error) {
	if err := checkHolder(instance.ID); err != nil {
		return core.Census{}, err
	}
	if !plain(instance.Role) || instance.PID < 0 || instance.PID > math.MaxInt32 {
		return core.Census{}, fmt.Errorf("outbox: instance %s is a %.100q of process %d: want a word and a process's number", instance.ID, instance.Role, instance.PID)
	}
	queues, err := json.Marshal(append([]string{}, instance.Queues...)) // a list in any case
	if err != nil {
		return core.Census{}, fmt.Errorf("outbox: encode the queues of instance %s: %w", instance.ID, err)
	}
	detail, err := detailOf(instance.Detail)
	if err != nil {
		return core.Census{}, fmt.Errorf("outbox: encode what instance %s says of itself: %w", instance.ID, err)
	}
	host := errorText(instance.Host)
	ctx, cancel := context.WithTimeout(ctx, min(s.cfg.StatementTimeout, core.BeatInterval))
	defer cancel()
	var census core.Census
	var paused string
	var now dbTime
	beat := func(c reader) error {
		began := time.Now()
		err := c.QueryRowContext(ctx, s.sql.beat,
			instance.ID, instance.Role, host, instance.PID, string(queues), detail, time.Minute.Milliseconds()).Scan(&census.Sweepers, &paused, &now)
		if err == nil {
			s.clock.learn(now.Time, began, time.Now())
		}
		return err
	}
	if instance.Role == core.RoleDispatcher {
		err = beat(s.pool) // nothing rests on it
	} else {
		err = s.beats.by(ctx, s, instance.ID, beat)
	}
	if err != nil {
		return core.Census{}, fmt.Errorf("outbox: say that instance %s is alive: %w", instance.ID, explain(err))
	}
	if err := json.Unmarshal([]byte(paused), &census.Paused); err != nil {
		return core.Census{}, fmt.Errorf("outbox: read which queues are paused: %w", err)
	}
	if instance.Role == core.RoleSweeper && census.Sweepers == 0 {
		census.Sweepers = 1 // its first beat does not see itself
	}
	return census, nil
}

// Leave gives back all that is on record for an instance, takes back the starts that it
// had counted, and strikes it off the list. What the instance still runs may be started
// by others from then on. Rows that are locked this moment are passed over: they are in
// nobody's hands for the sweep, which takes them back.
func (s *Store) Leave(ctx context.Context, id string) error {
	if err := checkHolder(id); err != nil {
		return err
	}
	defer s.beats.left(id)
	if _, err := s.exec(ctx, "give jobs back", s.sql.giveBack, id); err != nil {
		return err
	}
	_, err := s.exec(ctx, "strike an instance off the list", s.sql.leave, id)
	return err
}

// checkBreathing refuses what an instance asks for that is not alive for the others,
// because it was never announced, or was frozen, or its beats do not come through: what
// it took now could be taken from it at once.
func (s *Store) checkBreathing(ctx context.Context, id string) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	var alive bool
	if err := s.pool.QueryRowContext(ctx, s.sql.breathing, id).Scan(&alive); err != nil {
		return fmt.Errorf("outbox: ask whether instance %s is alive: %w", id, explain(err))
	}
	if !alive {
		return fmt.Errorf("outbox: instance %s has not said for %v that it is alive (Store.Beat): it takes no job until it has", id, core.Silence)
	}
	return nil
}
