package outbox

import (
	"context"
	"time"
)

// forgetAfter is how long a dead instance stays on the list, for people to see.
const forgetAfter = time.Hour

// TakeBack takes up to limit jobs from the hands of instances that are dead, and returns
// how many; limit is 1 to [MaxBatch]. An instance is dead if it has left, or if it has
// been silent for [core.Silence] while another one was not. What a dead one was running is
// due again at once, as another copy; its start stays counted. What waited there is in
// nobody's hands: its message may be in its queue. Rows that are locked at this moment
// are left for the next call. Instances that have been dead for an hour are struck off.
// Safe to call from every instance at once.
func (s *Store) TakeBack(ctx context.Context, limit int) (int, error) {
	if err := checkLimit(limit); err != nil {
		return 0, err
	}
	args := []any{limit, limit}
	if !s.d.numbered {
		args = args[1:]
	}
	n, err := s.exec(ctx, "take jobs from dead instances", s.sql.takeBack, args...)
	if err != nil {
		return 0, err
	}
	if n > 0 {
		signal(s.wake)
	}
	_, err = s.exec(ctx, "forget dead instances", s.sql.forget, forgetAfter.Milliseconds())
	return n, err
}
