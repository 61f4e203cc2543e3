package dashboard_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ackbox/ackbox/dashboard"
	"github.com/ackbox/ackbox/outbox"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestSearch(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]outbox.Filter{
		"":                                {},
		"  \t ":                           {},
		"key:order:42":                    {Key: "order:42"},
		"kind:mail.send queue:mail":       {Kind: "mail.send", Queue: "mail"},
		`error:"no such \"host\""`:        {Error: `no such "host"`},
		`"error:two words"`:               {Error: "two words"},
		`error:a\b`:                       {Error: `a\b`},
		"before:2h":                       {Before: noon.Add(-2 * time.Hour)},
		"after:1d before:30m":             {After: noon.Add(-24 * time.Hour), Before: noon.Add(-30 * time.Minute)},
		"before:2026-11-01":               {Before: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)},
		"after:2026-11-01T08:30":          {After: time.Date(2026, 11, 1, 8, 30, 0, 0, time.UTC)},
		"after:2026-11-01T08:30:00+02:00": {After: time.Date(2026, 11, 1, 6, 30, 0, 0, time.UTC)},
	} {
		got, _, err := dashboard.ParseSearch("", text, noon)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"order:42":                           `Where is "order:42" to be found? Say key:order:42`,
		"mail":                               "Say key:mail, kind:mail",
		"key:":                               "something must follow",
		"key:a key:b":                        "once",
		"before:1h after:":                   "After after:",
		"before:soon":                        "is no time",
		`error:"open`:                        "A quote is not closed",
		"a\xff":                              "no text",
		"key:\x00":                           "no text",
		"error:" + strings.Repeat("x", 1000): "longer than 1000 bytes",
		jobID(1) + " key:a":                  "A job's id stands alone",
	} {
		_, _, err := dashboard.ParseSearch("dead", text, noon)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, id, err := dashboard.ParseSearch("dead", " "+jobID(7)+" ", noon); err != nil || id != jobID(7) {
		t.Errorf("an id: %q, %v", id, err)
	}
	if f, _, err := dashboard.ParseSearch("running", "", noon); err != nil || !f.Running || f.State != "" {
		t.Errorf("running: %+v, %v", f, err)
	}
}

// What was typed wrongly is shown beside the form, which keeps it.
func TestSearchIsKept(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Read)
	for _, page := range []string{"jobs", "given-up"} {
		a := s.get(page + "?state=dead&q=mail+%22%3E%3Cb%3E")
		s.wantStatus(a, 400)
		s.wantText(a, `value="mail &#34;&gt;&lt;b&gt;"`, `role="alert"`)
	}
	for _, page := range []string{"jobs", "given-up"} {
		a := s.get(page + "?q=" + jobID(3979))
		s.wantStatus(a, 303)
		if got := a.Header.Get("Location"); got != "./jobs/"+jobID(3979) {
			t.Errorf("an id leads to %q", got)
		}
	}
	s.wantText(s.get("jobs?state=dead"), "Searched 133 rows for every dead job", `10,000+`)
}

// A list goes on where the page before ended, until it ends.
func TestCursor(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Read)
	seen, path := 0, "jobs"
	for range 10 {
		a := s.get(path)
		seen += strings.Count(a.body, "<tr data-row>")
		_, rest, more := strings.Cut(a.body, `data-next href="./`)
		if !more {
			break
		}
		path, _, _ = strings.Cut(rest, `"`)
		path = strings.ReplaceAll(path, "&amp;", "&")
	}
	if seen != len(s.ledger.jobs) {
		t.Errorf("saw %d of %d jobs", seen, len(s.ledger.jobs))
	}
}

func FuzzSearch(f *testing.F) {
	for _, s := range []string{"key:order:42", `error:"a \"b"`, "before:2h", "x", `"`, "kind:a queue:b after:2026-01-01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, id, err := dashboard.ParseSearch("dead", text, noon)
		if err != nil || id != "" {
			return
		}
		// What it means can be written, and read again.
		again, _, err := dashboard.ParseSearch("dead", dashboard.AsText(filter), noon.Add(time.Hour))
		if err != nil && len(dashboard.AsText(filter)) <= 1000 || err == nil && again != filter {
			t.Errorf("%q: %+v is written %q, and read as %+v, %v", text, filter, dashboard.AsText(filter), again, err)
		}
		if !utf8.ValidString(dashboard.InWords(filter)) {
			t.Errorf("%q: in words no text", text)
		}
	})
}
