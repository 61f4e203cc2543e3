//go:build unix

package faults_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/integration/shop"
)

func TestMemoryAlarm(t *testing.T) {
	alarm(t, []string{"set_vm_memory_high_watermark", "0.0000001"}, []string{"set_vm_memory_high_watermark", "0.4"})
}

func TestDiskAlarm(t *testing.T) {
	alarm(t, []string{"set_disk_free_limit", "99999GB"}, []string{"set_disk_free_limit", "50MB"})
}

// alarm has the broker block publishers while jobs wait on both sides of it.
func alarm(t *testing.T, raise, lower []string) {
	s := newBrokerStage(t)
	repairs(t, lower)
	dispatcher := s.run(dispatcherOnly)
	const before, during = 200, 300
	s.place(before, shop.Plan{Work: 100 * time.Millisecond})
	s.reaches(before, allSent)
	s.ctl(raise...)
	// The broker tells of an alarm only when something is published.
	s.place(10, shop.Plan{})
	s.eventually("publishers are blocked", func() error {
		ctx, cancel := context.WithTimeout(s.ctx, 50*time.Millisecond)
		defer cancel()
		if err := dispatcher.Broker.Ready(ctx); err == nil || !strings.Contains(err.Error(), "blocks publishers") {
			return fmt.Errorf("ready: %v", err) //nolint:errorlint // it may be nil
		}
		return nil
	})
	s.logs("level=WARN", "the broker blocks publishers", "reason=\"low on ")
	s.eventually("the batch in hand is given up", func() error {
		if n := s.count(claimed); n > 0 {
			return fmt.Errorf("%d rows are claimed", n)
		}
		return nil
	})
	s.place(during, shop.Plan{})
	worker := s.directWorker()
	const rows = `SELECT coalesce(md5(string_agg(id::text || xmin::text, ',' ORDER BY id)), '') FROM ackbox_jobs WHERE state = 'pending'`
	fingerprint := func() (sum string) {
		s.must("read the rows", s.db.WithContext(s.ctx).Raw(rows).Scan(&sum).Error)
		return sum
	}
	was := fingerprint()
	pending := s.count(allPending)
	s.stays(3*time.Second, "nothing is claimed, nothing written", func() error {
		if n := s.count(claimed); n > 0 {
			return fmt.Errorf("%d rows are claimed", n)
		}
		if now := fingerprint(); now != was {
			return fmt.Errorf("rows were written: %d are pending, %d were", s.count(allPending), pending)
		}
		return nil
	})
	if pending < during {
		t.Errorf("only %d jobs wait during the alarm, want at least %d", pending, during)
	}
	// Consumers go on, all through it.
	s.reaches(before, allEffects)
	s.ctl(lower...)
	audit := s.settled()
	s.logs("the broker lets publishers go on")
	s.uncharged()
	if n := dispatcher.Dispatcher.Stats().Unknown; n > 10 {
		t.Errorf("%d publishes had no answer, want those 10 at most that met the alarm", n)
	}
	s.report(audit, dispatcher, worker)
}
