//go:build unix

package faults_test

import (
	"testing"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/testenv"
)

// An administrator, or a load balancer, ends every connection to the broker in
// the middle of the work.
func TestConnectionsClosedByTheBroker(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.place(3000, shop.Plan{})
	s.run()
	for _, done := range []int{200, 1000, 2000} {
		s.reaches(done, `SELECT count(*) FROM shop_effects`)
		testenv.Rabbit(t).CloseConnections(2)
	}
	audit := s.settled()
	t.Logf("%+v", audit)
}
