package storetest

import (
	"strings"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// side is the quoted name of a table beside the jobs table.
func (e *env) side(name string) string { return strings.TrimSuffix(e.table(), `"`) + "_" + name + `"` }

// bare is side without the schema.
func (e *env) bare(name string) string {
	side := e.side(name)
	return side[strings.LastIndex(side, ".")+1:]
}

// inSchema is the name of a table in the schema of the jobs table.
func (e *env) inSchema(name string) string {
	if e.base.Schema == "" {
		return name
	}
	return `"` + e.base.Schema + `".` + name
}

func (e *env) instances() string { return e.side("instances") }

// instance announces a new instance and returns its id.
func (e *env) instance(role string, queues ...string) string {
	e.Helper()
	id := outbox.NewID()
	_, err := e.store().Beat(e.ctx, core.Instance{ID: id, Role: role, Host: "here", PID: 7, Queues: queues})
	e.must(err)
	return id
}

// worker announces a worker that is alive.
func (e *env) worker() string {
	e.Helper()
	return e.instance(core.RoleWorker, "default", "mail")
}

// aged sets when an instance spoke last, and since when without a gap.
func (e *env) aged(id string, seen, since time.Duration) {
	e.Helper()
	e.exec("UPDATE " + e.instances() + " SET seen_at = " + e.at(-seen) + ", since = " + e.at(-since) + " WHERE id = '" + id + "'")
}

// silent makes an instance silent for long enough to be dead, were there a witness.
func (e *env) silent(id string) {
	e.Helper()
	e.aged(id, core.Silence+time.Second, time.Hour)
}

// witness announces an instance that was never silent.
func (e *env) witness() {
	e.Helper()
	e.aged(e.instance(core.RoleSweeper), 0, time.Hour)
}

// holders are all that can be said of who has a job, for worker me.
var holders = []struct {
	name string
	// by makes the holder, empty for nobody; witness says whether there is one.
	by      func(e *env, me string) string
	witness bool
	running bool
	// free says that me may have the job.
	free bool
}{
	{"nobody's", func(*env, string) string { return "" }, true, false, true},
	{"mine", func(_ *env, me string) string { return me }, true, true, true},
	{"mine, waiting", func(_ *env, me string) string { return me }, true, false, true},
	{"another's", func(e *env, _ string) string { return e.worker() }, true, true, false},
	{"another's, waiting", func(e *env, _ string) string { return e.worker() }, true, false, true},
	{"a dead one's", func(e *env, _ string) string { id := e.worker(); e.silent(id); return id }, true, true, true},
	{"a silent one's, without a witness", func(e *env, _ string) string { id := e.worker(); e.silent(id); return id }, false, true, false},
	{"of one that has left", func(*env, string) string { return outbox.NewID() }, false, true, true},
}

// eachHolder calls check with a sent job of each kind of holder, in the state that is
// asked for. Instances of before do not count as witnesses.
func (e *env) eachHolder(state ackbox.State, check func(what, me, id string, free bool, holder string)) {
	e.Helper()
	e.store()
	for _, h := range holders {
		e.exec("DELETE FROM " + e.instances())
		me := e.worker()
		holder := h.by(e, me)
		if h.witness {
			e.witness()
		}
		id := e.enqueueAs(state)
		if holder != "" {
			e.held(id, holder, h.running)
		}
		check(h.name+", "+string(state), me, id, h.free, holder)
	}
}

// held puts a job on record for a holder, with 3 starts, behind the Store's back.
func (e *env) held(id, holder string, running bool) {
	e.Helper()
	row := "holder = '" + holder + "', starts = 3, seen_at = " + e.at(-time.Hour)
	if running {
		row += ", started_at = " + e.at(-time.Hour)
	}
	e.set(id, row)
}

func (e *env) start(holder string, jobs ...ackbox.Job) []core.Standing {
	e.Helper()
	standings, err := e.store().Start(e.ctx, holder, jobs)
	e.must(err)
	if len(standings) != len(jobs) {
		e.Fatalf("%d standings for %d jobs", len(standings), len(jobs))
	}
	return standings
}

// wantStart starts one job.
func (e *env) wantStart(what, holder string, job ackbox.Job, want core.Standing) {
	e.Helper()
	if got := e.start(holder, job)[0]; got != want {
		e.Errorf("%s: %v with %d starts, want %v with %d", what, got.Verdict, got.Starts, want.Verdict, want.Starts)
	}
}

func start(e *env) {
	me := e.worker()
	for _, state := range ackbox.States() {
		job := e.get(e.enqueueAs(state)).Job
		want := core.Standing{Verdict: core.Started, Starts: 1}
		if state.Final() {
			want = core.Standing{Verdict: core.Stale}
		}
		e.wantStart(string(state), me, job, want)
		got := e.get(job.ID)
		if started := got.Holder == me && got.StartedAt != nil && got.Starts == 1; started == state.Final() || got.State != state {
			e.Errorf("%s: started %+v", state, got)
		}
		if !state.Final() {
			e.near("start", *got.StartedAt, 0)
		}
	}
	job := e.get(e.enqueueAs(ackbox.Sent)).Job
	for _, n := range []int{-1, 1, 1 << 40} {
		other := job
		other.Resend += n
		e.wantStart("another copy", me, other, core.Standing{Verdict: core.Stale})
		other = job
		other.Attempt += n
		e.wantStart("another try", me, other, core.Standing{Verdict: core.Stale})
	}
	for _, id := range []string{"", "7", outbox.NewID(), "\xff", strings.ToUpper(job.ID)} {
		other := job
		other.ID = id
		e.wantStart("unknown id", me, other, core.Standing{Verdict: core.Missing})
	}
	event := e.enqueue(outbox.Event("a", "b"))
	e.relay(10, acked)
	e.wantStart("sent event", me, e.get(event).Job, core.Standing{Verdict: core.Stale})
	if got := e.get(job.ID); got.Holder != "" || got.Starts != 0 {
		e.Errorf("nobody has started %+v", got)
	}

	// Many at once, the wrong ones beside the right ones.
	jobs := []ackbox.Job{{ID: "7", Attempt: 1}, job, job, e.get(e.enqueueAs(ackbox.Done)).Job}
	jobs[2].Resend = 1
	jobs = append(jobs, job)
	var verdicts []core.Verdict
	for _, s := range e.start(me, jobs...) {
		verdicts = append(verdicts, s.Verdict)
	}
	e.wantVerdicts(verdicts, core.Missing, core.Started, core.Stale, core.Stale, core.Held)
	e.start(me)
}

func startByHolder(e *env) {
	for _, state := range []ackbox.State{ackbox.Sent, ackbox.Pending, ackbox.Nacked, ackbox.Refused} {
		e.eachHolder(state, func(what, me, id string, free bool, holder string) {
			want := core.Standing{Verdict: core.Started, Starts: 4}
			switch {
			case !free:
				want = core.Standing{Verdict: core.Held}
			case what == "mine, "+string(state):
				want.Starts = 3 // it was counted before
			case holder == "":
				want.Starts = 1
			}
			e.wantStart(what, me, e.get(id).Job, want)
			got := e.get(id)
			if free && (got.Holder != me || got.StartedAt == nil || got.Starts != want.Starts) || !free && (got.Holder != holder || got.Starts != 3) {
				e.Errorf("%s: the row is %+v", what, got)
			}
		})
	}
}

// Asked again after an answer that was lost, a start is not counted twice. After an
// outcome that came starts begin anew.
func startAgain(e *env) {
	me, other := e.worker(), e.worker()
	e.witness()
	job := e.get(e.enqueueAs(ackbox.Sent)).Job
	for range 3 {
		e.wantStart("again", me, job, core.Standing{Verdict: core.Started, Starts: 1})
	}
	e.wantStart("elsewhere", other, job, core.Standing{Verdict: core.Held})
	e.silent(me)
	e.wantStart("after a death", other, job, core.Standing{Verdict: core.Started, Starts: 2})
	e.aged(me, 0, 0)
	e.wantStart("after it has woken up", me, job, core.Standing{Verdict: core.Held})
	e.wantVerdicts(e.finish(core.Transition{ID: job.ID, Attempt: 1, Holder: other, To: ackbox.Pending, Charge: true, Error: "no"}), core.Recorded)
	e.wantStart("of a try before", other, job, core.Standing{Verdict: core.Stale})
	e.wantStart("of the next try", me, e.get(job.ID).Job, core.Standing{Verdict: core.Started, Starts: 1})
}

func (e *env) hold(holder string, holdings ...core.Holding) []core.Verdict {
	e.Helper()
	verdicts, err := e.store().Hold(e.ctx, holder, holdings)
	e.must(err)
	return verdicts
}

func hold(e *env) {
	me := e.worker()
	waits := func(id string) core.Holding { return core.Holding{ID: id, Attempt: 1} }
	runs := func(id string) core.Holding {
		return core.Holding{ID: id, Attempt: 1, Running: 90 * time.Second}
	}
	for _, state := range ackbox.States() {
		want := core.Recorded
		if state.Final() {
			want = core.Stale
		}
		waiting, running := e.enqueueAs(state), e.enqueueAs(state)
		e.wantVerdicts(e.hold(me, waits(waiting), runs(running)), want, want)
		got := e.get(waiting)
		if state.Final() != (got.Holder == "") || got.StartedAt != nil || got.Starts != 0 || got.State != state {
			e.Errorf("waiting %+v", got)
		}
		got = e.get(running)
		if state.Final() != (got.Holder == "") || state.Final() != (got.StartedAt == nil) || state.Final() != (got.Starts == 0) || got.State != state {
			e.Errorf("running %+v", got)
		}
		if state.Final() {
			continue
		}
		e.near("start", *got.StartedAt, -90*time.Second)
		// Once more, as after a lost answer.
		e.wantVerdicts(e.hold(me, runs(running)), core.Recorded)
		if again := e.get(running); again.Starts != 1 || !again.StartedAt.Equal(*got.StartedAt) {
			e.Errorf("held again %+v", again)
		}
		// It waited, and has its slot now.
		e.wantVerdicts(e.hold(me, runs(waiting)), core.Recorded)
		if got := e.get(waiting); got.Starts != 1 || got.StartedAt == nil {
			e.Errorf("running at last %+v", got)
		}
	}
	// A start that was asked for is not counted again.
	job := e.get(e.enqueueAs(ackbox.Sent)).Job
	e.wantStart("start", me, job, core.Standing{Verdict: core.Started, Starts: 1})
	e.wantVerdicts(e.hold(me, runs(job.ID)), core.Recorded)
	if got := e.get(job.ID); got.Starts != 1 {
		e.Errorf("%d starts", got.Starts)
	}
	// Of those that wait only the newest copy counts; what runs is running.
	id := e.enqueueAs(ackbox.Sent)
	e.set(id, "resend = 2")
	old, newest := waits(id), waits(id)
	newest.Resend = 2
	e.wantVerdicts(e.hold(me, old), core.Stale)
	e.wantVerdicts(e.hold(me, newest), core.Recorded)
	e.wantVerdicts(e.hold(me, runs(id)), core.Recorded)
	e.wantVerdicts(e.hold(me, newest, runs(id)), core.Held, core.Recorded)
	// Another try's does not.
	e.set(id, "attempt = 2")
	e.wantVerdicts(e.hold(me, runs(id), core.Holding{ID: id, Attempt: 1 << 40, Running: 1}), core.Stale, core.Stale)
	e.wantVerdicts(e.hold(me, core.Holding{ID: "7", Attempt: 1}, core.Holding{ID: outbox.NewID(), Attempt: 1}, core.Holding{ID: id, Attempt: 3}), core.Missing, core.Missing, core.Stale)
	e.hold(me)
}

func holdByHolder(e *env) {
	for _, running := range []time.Duration{0, time.Minute} {
		e.eachHolder(ackbox.Sent, func(what, me, id string, free bool, holder string) {
			want := core.Recorded
			if !free {
				want = core.Held
			}
			e.wantVerdicts(e.hold(me, core.Holding{ID: id, Attempt: 1, Running: running}), want)
			got := e.get(id)
			switch {
			case !free && (got.Holder != holder || got.StartedAt == nil || got.Starts != 3):
				e.Errorf("%s: the row of another is %+v", what, got)
			case free && got.Holder != me:
				e.Errorf("%s: the row is %+v", what, got)
			case free && running > 0 && got.StartedAt == nil:
				e.Errorf("%s: it runs, and the row is %+v", what, got)
			}
		})
	}
}
