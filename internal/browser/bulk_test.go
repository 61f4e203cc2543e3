package browser_test

import (
	"strings"
	"testing"
)

const cancelled = "SELECT count(*) FROM ackbox_jobs WHERE kind = 'order.cancel_unpaid' AND state = 'cancelled'"

// All that match a search, by way of the dry run: what was begun while nobody could
// carry it on is stopped, gone on with, and ends after the sweeping process was
// killed and started again.
func TestBulkStoppedAndResumedOverARestart(t *testing.T) {
	t.Parallel()
	const many = 1200
	s := open(t, "")
	s.enqueueLater(many)
	s.order("other", 2) // whose jobs of the same kind are among those that match
	s.dispatcher.Kill()

	p := s.page("jobs?state=pending&q=kind:order.cancel_unpaid")
	p.Choose("cancel…")
	p.Reads("h1", "Cancel 1,202 jobs")
	p.Reads("main", "Nothing is changed yet")
	if n := s.count(cancelled); n != 0 {
		t.Fatalf("the dry run has cancelled %d jobs", n)
	}
	p.Fill("input[name=confirm]", "12")
	p.Fill("input[name=reason]", "a mistake of the import")
	p.Expect("409") // the answer to the wrong number
	p.Choose("Cancel all 1,202")
	p.Reads("[role=alert]", "type how many jobs that is")
	p.Fill("input[name=confirm]", "1202")
	p.Choose("Cancel all 1,202")
	p.Reads(".id-line", "running")
	p.Choose("Stop")
	p.Reads(".told", "Stopped.")
	p.Reads(".id-line", "stopped")
	if n := s.count(cancelled); n != 0 {
		t.Errorf("%d jobs are cancelled, with nobody to do it", n)
	}

	p.Choose("Go on")
	p.Reads(".id-line", "running")
	operation, _, _ := strings.Cut(p.URL(), "?")
	s.dispatcher = s.start("dispatcher")
	p.ReadsAnew(".id-line", "done")
	p.Reads(".progress", "1,202")
	s.eventually("all are cancelled", many+2, cancelled)

	// Back again, in the same way, with a kill in the middle of it.
	p.Open(s.at("jobs?state=cancelled&q=kind:order.cancel_unpaid"))
	p.Choose("requeue…")
	p.Fill("input[name=confirm]", "1202")
	p.Click("form.begin button")
	p.Reads(".id-line", "by "+operator)
	s.dispatcher.Kill()
	s.dispatcher = s.start("dispatcher")
	p.ReadsAnew(".id-line", "done")
	if n := s.count(cancelled); n != 0 {
		t.Errorf("%d jobs are still cancelled", n)
	}
	if n := s.count("SELECT count(*) FROM ackbox_jobs WHERE kind = 'order.cancel_unpaid' AND (SELECT count(*) FROM jsonb_array_elements(history) h WHERE h ->> 'what' = 'requeued') <> 1"); n != 0 {
		t.Errorf("%d jobs were not requeued just once", n)
	}
	p.Open(operation)
	p.Reads("main", operator)
}

// The empty filter is refused until it is asked for by name.
func TestBulkOfEverythingIsAskedForByName(t *testing.T) {
	t.Parallel()
	s := open(t, "")
	s.enqueueLater(2)
	p := s.page("")
	p.Expect("400")
	p.Open(s.at("bulk?action=cancel"))
	p.Reads("main", "That would cancel all")
	p.Open(s.at("bulk?action=cancel&all=yes"))
	p.Reads("h1", "Cancel 2 jobs")
}
