package storetest

import (
	"context"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

func done(id string, attempt int) core.Transition {
	return core.Transition{ID: id, Attempt: attempt, To: ackbox.Done}
}

// What a worker of the same process reports while the batch is on the wire is
// recorded with the batch, whatever the broker's answer was, and told once. On
// SQLite nothing is locked, so it is recorded at once.
func doneOnWire(e *env) {
	s := e.store()
	asked, announced, refused, other, quiet := e.enqueue(), e.enqueue(), e.enqueue(), e.enqueue(), e.enqueue()
	var early []core.Verdict
	first := true
	e.relay(10, func(job ackbox.Job) core.Transition {
		if first {
			first = false
			early = e.finish(done(asked, 1), done(refused, 1), done(other, 2))
			s.Announce(done(announced, 1))
			s.Announce(core.Transition{ID: quiet, Attempt: 1, To: ackbox.Dead})
			s.Announce(core.Transition{ID: quiet, Attempt: 1, To: ackbox.Done, Error: "kept"})
			s.Announce(done("no job", 1))
		}
		if job.ID == refused {
			return core.Transition{ID: job.ID, Attempt: 1, To: ackbox.Nacked, Error: "full"}
		}
		return acked(job)
	})
	late := e.finish(done(asked, 1), done(announced, 1), done(refused, 1), done(other, 2))
	e.wantState(ackbox.Done, asked, announced, refused)
	e.wantState(ackbox.Sent, other, quiet)
	if e.postgres() {
		e.wantVerdicts(early, core.Busy, core.Busy, core.Stale)
		e.wantVerdicts(late, core.Recorded, core.Recorded, core.Recorded, core.Stale)
	} else {
		e.wantVerdicts(early, core.Recorded, core.Recorded, core.Stale)
		e.wantVerdicts(late, core.Stale, core.Recorded, core.Stale, core.Stale)
	}
	e.wantVerdicts(e.finish(done(asked, 1), done(announced, 1)), core.Stale, core.Stale)
	if got := e.get(announced); got.SentAt == nil || got.FinishedAt == nil {
		e.Errorf("the finished row is %+v", got)
	}
}

// A batch that is not committed has recorded nothing, whatever was reported to
// it meanwhile: it is recorded when it is asked for again.
func doneOnLostWire(e *env) {
	if !e.postgres() {
		return // no transaction is open there that could be lost
	}
	s := e.store()
	id := e.enqueue()
	_, err := s.Relay(e.ctx, core.Claim{Limit: 10}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		e.wantVerdicts(e.finish(done(id, 1)), core.Busy)
		s.Announce(done(id, 1))
		e.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND state = 'idle in transaction'`)
		return []core.Transition{acked(jobs[0])}
	})
	if err == nil {
		e.Fatal("the batch was recorded although its connection was ended")
	}
	e.wantState(ackbox.Pending, id)
	verdicts := e.finish(done(id, 1))
	for verdicts[0] == core.Busy && e.ctx.Err() == nil { // the server lets go of the row when it gets to it
		verdicts = e.finish(done(id, 1))
	}
	e.wantVerdicts(verdicts, core.Recorded)
	e.wantState(ackbox.Done, id)
}

// Nor has one whose COMMIT fails, when all its statements went well.
func doneOnRefusedWire(e *env) {
	if !e.postgres() {
		return // there is no COMMIT
	}
	s := e.store()
	id := e.enqueue()
	e.exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'refused'; END$$`)
	e.exec(`CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON ` + e.table() + `
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
	_, err := s.Relay(e.ctx, core.Claim{Limit: 10}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		s.Announce(done(id, 1))
		return []core.Transition{acked(jobs[0])}
	})
	e.wantError(err, "commit the batch", "refused")
	e.exec(`DROP TRIGGER refuse ON ` + e.table())
	e.wantState(ackbox.Pending, id)
	e.wantVerdicts(e.finish(done(id, 1)), core.Recorded)
	e.wantState(ackbox.Done, id)
}

// A batch that ends without a word leaves nothing behind.
func doneOnBrokenWire(e *env) {
	s := e.store()
	id := e.enqueue()
	func() {
		defer func() { _ = recover() }()
		_, _ = s.Relay(e.ctx, core.Claim{Limit: 10}, func(context.Context, []ackbox.Job) []core.Transition {
			s.Announce(done(id, 1))
			panic("publish")
		})
	}()
	e.wantState(ackbox.Pending, id)
	e.wantVerdicts(e.finish(done(id, 1)), core.Recorded)
	e.wantState(ackbox.Done, id)
}
