package outbox_test

import (
	"testing"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// beating announces a worker and returns its id.
func beating(t *testing.T, s *outbox.Store) string {
	t.Helper()
	id := outbox.NewID()
	if _, err := s.Beat(t.Context(), core.Instance{ID: id, Role: core.RoleWorker, Queues: s.Queues()}); err != nil {
		t.Fatal(err)
	}
	return id
}
