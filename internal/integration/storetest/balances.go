package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// balances: what is on the way is counted by queue, and each job with which something may be
// wrong is named, and no other.
func balances(e *env) {
	s := e.store()
	const patience = time.Minute
	want := func(what string, want ...string) {
		e.Helper()
		all, err := s.Balances(e.ctx, patience, 10)
		if err != nil {
			e.Errorf("%s: %v", what, err)
			return
		}
		var got []string
		for _, b := range all {
			if b.Due+b.Road+b.Held+b.Refused+len(b.Suspects) == 0 {
				continue
			}
			got = append(got, fmt.Sprintf("%s: %d due, %d road, %d held, %d refused", b.Queue, b.Due, b.Road, b.Held, b.Refused))
			for _, x := range b.Suspects {
				if x.Kind == "" || x.Since.IsZero() && x.Why != outbox.Crashing {
					e.Errorf("%s: %+v", what, x)
				}
				got = append(got, fmt.Sprintf("%s %s", x.Why, x.ID))
			}
		}
		if !slices.Equal(got, want) {
			e.Errorf("%s:\n%q\nwant\n%q", what, got, want)
		}
	}
	want("an empty table")
	late := e.enqueue()
	e.enqueue(outbox.Delay(time.Hour))
	e.sent("mail", time.Second)
	e.sent("mail", 2*time.Minute)
	want("one on the road", "mail: 0 due, 1 road, 0 held, 0 refused", "adrift "+e.adrift(s))
	e.set(late, "due_at = "+e.at(-2*time.Minute))
	want("late", "default: 1 due, 0 road, 0 held, 0 refused", "late "+late, "mail: 0 due, 1 road, 0 held, 0 refused", "adrift "+e.adrift(s))
	e.set(late, "state = 'refused', refused_at = "+e.at(-time.Hour))
	want("refused", "default: 0 due, 0 road, 0 held, 1 refused", "refused "+late, "mail: 0 due, 1 road, 0 held, 0 refused", "adrift "+e.adrift(s))
	e.set(late, "state = 'cancelled', finished_at = "+e.at(0))

	held := e.adrift(s)
	me := e.instance(core.RoleWorker, "mail")
	e.witness()
	e.held(held, me, true)
	want("in a living hand", "mail: 0 due, 0 road, 1 held, 0 refused")
	e.set(held, "starts = 10")
	want("begun too often", "mail: 0 due, 0 road, 1 held, 0 refused", "crashing "+held)
	e.silent(me)
	want("in a dead hand", "mail: 0 due, 0 road, 1 held, 0 refused", "orphaned "+held, "crashing "+held)
	if _, err := s.Finish(e.ctx, []core.Transition{{ID: held, Attempt: 1, To: ackbox.Dead, Error: "e"}}); err != nil {
		e.Error(err)
	}
	want("over")
	for _, bad := range []func() error{
		func() error { _, err := s.Balances(e.ctx, time.Millisecond, 1); return err },
		func() error { _, err := s.Balances(e.ctx, 25*time.Hour, 1); return err },
		func() error { _, err := s.Balances(e.ctx, patience, 0); return err },
		func() error { _, err := s.Balances(e.ctx, patience, 1001); return err },
	} {
		if bad() == nil {
			e.Error("a patience or limit out of bounds is taken")
		}
	}
}

// adrift is the id of the one job that is on the road for over a minute.
func (e *env) adrift(s *outbox.Store) string {
	e.Helper()
	all, err := s.Balances(e.ctx, time.Minute, 10)
	if err != nil {
		e.Fatal(err)
	}
	for _, b := range all {
		for _, x := range b.Suspects {
			if x.Why == outbox.Adrift {
				return x.ID
			}
		}
	}
	e.Fatal("no job is adrift")
	return ""
}
