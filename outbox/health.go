package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
)

// healthTimeout bounds [Store.Health].
const healthTimeout = time.Second

// Health tells how the Store is, as [ackbox.HealthChecker] says: not ready while the database
// does not answer within a second, has no table that [Store.Migrate] has made, or can only be
// read, and while all connections of the pool are in use for so long. It is live always: a
// restart mends none of that. Safe for concurrent use.
func (s *Store) Health(ctx context.Context) ackbox.Health {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	h := ackbox.Health{Part: "store", Live: true}
	if err := s.answers(ctx); err != nil {
		h.Why = err.Error()
		if pool := s.pool.Stats(); timedOut(err) && pool.MaxOpenConnections > 0 && pool.InUse >= pool.MaxOpenConnections {
			h.Why = fmt.Sprintf("all %d connections of the pool are in use: %v", pool.InUse, err)
		}
		return h
	}
	h.Ready = true
	return h
}

// answers asks the database for what can be known without looking at jobs.
func (s *Store) answers(ctx context.Context) error {
	if _, err := s.readIdentity(ctx, s.pool); err != nil {
		return fmt.Errorf("the database cannot be asked: %w", explain(err))
	}
	if !s.d.schemas {
		return nil
	}
	var readOnly string
	if err := s.pool.QueryRowContext(ctx, `SELECT current_setting('transaction_read_only')`).Scan(&readOnly); err != nil {
		return fmt.Errorf("the database cannot be asked: %w", explain(err))
	}
	if readOnly == "on" {
		return errors.New("the database can only be read: it is a standby, or default_transaction_read_only is set")
	}
	return nil
}

var _ ackbox.HealthChecker = (*Store)(nil)
