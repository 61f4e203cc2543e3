package dashboard_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

func topology() ackbox.Topology {
	return ackbox.Topology{Queues: []ackbox.Queue{{Name: "mail"}, {Name: "slow"}}}
}

// each runs a test on a ledger of each kind.
func each(t *testing.T, test func(t *testing.T, o *office)) {
	t.Helper()
	for name, open := range databases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newOffice(t, open(t)))
		})
	}
}

// At night: what was given up is found by its error, one is put back, and then all of them.
func TestGivenUpIsPutBack(t *testing.T) {
	t.Parallel()
	const many = 25
	each(t, func(t *testing.T, o *office) {
		o.away.Store(true)
		for i := range many {
			o.order(fmt.Sprintf("order:%d", i))
		}
		var dead struct {
			N      int
			Groups []struct {
				Kind, Error, Sample, Search string
				N                           int
			}
		}
		o.until("all are dead", func() bool { o.read("given-up", &dead); return dead.N == many })
		if len(dead.Groups) != 1 || dead.Groups[0].Kind != "mail.send" || dead.Groups[0].Error != "smtp: the mail server <b>is away</b>" {
			t.Fatalf("groups: %+v", dead.Groups)
		}
		if now := o.html(""); !strings.Contains(now, "25 jobs of mail.send given up in the last hour") || strings.Contains(now, "<b>is away") {
			t.Errorf("the first page: %s", now)
		}
		one := o.find("order:7")
		last := one.Timeline[len(one.Timeline)-1]
		if one.State != "dead" || last.What != "given up" || !strings.Contains(last.Error, "stack of it") {
			t.Fatalf("the job: %+v", one)
		}

		o.away.Store(false)
		told := o.post("requeue", url.Values{"id": {one.ID}, "back": {"jobs/" + one.ID}})
		if !strings.Contains(told, "1 job requeued.") {
			t.Errorf("is not told: %s", told)
		}
		o.until("the one is done", func() bool { return o.find("order:7").State == "done" })
		requeued := ""
		for _, e := range o.find("order:7").Timeline {
			requeued += e.What + " by " + e.By + "\n"
		}
		if !strings.Contains(requeued, "requeued by ada\n") {
			t.Errorf("who put it back is not on record: %s", requeued)
		}

		group := url.Values{"action": {"requeue"}, "state": {"dead"}, "q": {dead.Groups[0].Search}}
		var dry struct {
			N       int
			What    string
			Samples []job
		}
		o.read("bulk?"+group.Encode(), &dry)
		if dry.N != many-1 || len(dry.Samples) == 0 {
			t.Fatalf("the dry run: %+v", dry)
		}
		group.Set("expected", fmt.Sprint(dry.N))
		group.Set("reason", "mail is back")
		if page := o.post("bulk", group); !strings.Contains(page, "mail is back") {
			t.Errorf("the operation's page: %s", page)
		}
		var ops struct {
			Operations []struct {
				ID, Action, State, By, Reason string
				Changed                       int
			}
		}
		o.until("the operation is done", func() bool { o.read("operations", &ops); return ops.Operations[0].State == "done" })
		if op := ops.Operations[0]; op.Changed != many-1 || op.By != "ada" || op.Reason != "mail is back" || op.Action != "requeue" {
			t.Errorf("the operation: %+v", op)
		}
		o.until("all are done", func() bool {
			var list struct{ Jobs []job }
			o.read("jobs?state=done", &list)
			return len(list.Jobs) == many
		})
		for _, path := range []string{"", "?range=24h", "?range=7d", "jobs", "jobs?state=done", "jobs?state=running", "given-up", "dead?queue=mail", "queues", "instances", "operations", "operations/" + ops.Operations[0].ID, "jobs/" + one.ID} {
			o.html(path)
		}
	})
}

// A queue that is paused stands still, and says who has paused it and why.
func TestPause(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, o *office) {
		told := o.post("pause", url.Values{"queue": {"mail"}, "reason": {"the server moves"}, "back": {"queues"}})
		for _, want := range []string{"Paused. Workers stop", "the server moves", `action="./resume"`} {
			if !strings.Contains(told, want) {
				t.Errorf("does not say %q: %s", want, told)
			}
		}
		// The loops hear of it with their next beat.
		o.until("a job waits", func() bool {
			o.order(fmt.Sprintf("still:%d", time.Now().UnixNano()))
			var list struct{ Jobs []job }
			o.read("jobs?state=pending", &list)
			return len(list.Jobs) > 2
		})
		if now := o.html(""); !strings.Contains(now, "mail is paused") {
			t.Errorf("the first page: %s", now)
		}
		o.post("resume", url.Values{"queue": {"mail"}, "back": {"queues"}})
		o.until("nothing waits", func() bool {
			var list struct{ Jobs []job }
			o.read("jobs?state=pending", &list)
			return len(list.Jobs) == 0
		})
	})
}

// A job that waits is given another time, cancelled, put back, run, and deleted.
func TestOneJob(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, o *office) {
		o.order("order:1", outbox.Delay(time.Hour))
		id := o.find("order:1").ID
		act := func(what string, more ...string) {
			t.Helper()
			form := url.Values{"id": {id}, "back": {"jobs/" + id}}
			for i := 0; i < len(more); i += 2 {
				form.Set(more[i], more[i+1])
			}
			if page := o.post(what, form); !strings.Contains(page, "1 job ") {
				t.Fatalf("%s: %s", what, page)
			}
		}
		act("reschedule", "at", "2040-01-02T03:04")
		if got := o.find("order:1").DueAt; !got.Equal(time.Date(2040, 1, 2, 3, 4, 0, 0, time.UTC)) {
			t.Errorf("due at %v", got)
		}
		act("cancel")
		if got := o.find("order:1").State; got != "cancelled" {
			t.Errorf("is %s", got)
		}
		act("requeue")
		o.until("it is done", func() bool { return o.find("order:1").State == "done" })
		act("delete", "back", "jobs")
		var gone map[string]any
		if status := o.read("jobs/"+id, &gone); status != http.StatusNotFound {
			t.Errorf("is still there: %d %v", status, gone)
		}
		o.order("order:2", outbox.Delay(time.Hour))
		id = o.find("order:2").ID
		act("run-now")
		o.until("it is done", func() bool { return o.find("order:2").State == "done" })
		if page := o.post("cancel", url.Values{"id": {id}, "back": {"jobs"}}); !strings.Contains(page, "Nothing was cancelled") {
			t.Errorf("is not told: %s", page)
		}
	})
}

// What is no page, no job, no place in a list or no operation is said to be none.
func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, o *office) {
		const none = "019a0000-0000-7000-8000-000000000000"
		for path, want := range map[string]int{
			"jobs/" + none: 404, "jobs/x": 404, "operations/" + none: 404, "operations/x": 404, "nothing": 404,
			"jobs?after=x": 400, "operations?after=x": 400, "jobs?state=x": 400,
			"jobs?q=before:0001-01-01T00:00:00%2B14:00": 400,
		} {
			var page map[string]any
			if got := o.read(path, &page); got != want {
				t.Errorf("%s: %d, want %d: %v", path, got, want, page)
			}
		}
	})
}
