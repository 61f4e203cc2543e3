package outbox

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ackbox/ackbox"
)

type greeting struct {
	Name string `json:"name"`
}

// Kind implements ackbox.Args.
func (greeting) Kind() string { return "greeting" }

func testStore(cfg Config) *Store {
	cfg = cfg.withDefaults(postgresDialect)
	return &Store{cfg: cfg, d: postgresDialect, sql: newStatements(postgresDialect, cfg)}
}

func TestDraftDefaults(t *testing.T) {
	t.Parallel()
	s := testStore(Config{Queues: []string{"first", "second"}, MaxAttempts: 7})
	d, err := s.draft(t.Context(), greeting{"Ada"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	j := d.job
	if !validID(j.ID) || j.Kind != "greeting" || j.Queue != "first" || j.Exchange != "" || j.RoutingKey != "first" ||
		!j.Mandatory || j.MaxAttempts != 7 || string(j.Payload) != `{"name":"Ada"}` || !d.due() {
		t.Errorf("draft %+v", d)
	}
}

func TestDraftOptions(t *testing.T) {
	t.Parallel()
	s := testStore(Config{Queues: []string{"first", "second"}})
	shared := []Option{Queue("second"), Header("a", "1"), MaxAttempts(3), Delay(time.Nanosecond)}
	for range 2 { // options can be used again
		d, err := s.draft(t.Context(), greeting{}, shared)
		if err != nil {
			t.Fatal(err)
		}
		values, err := d.values(s.d)
		if err != nil {
			t.Fatal(err)
		}
		if d.job.Queue != "second" || d.job.RoutingKey != "second" || d.job.MaxAttempts != 3 || d.job.Headers["a"] != "1" || d.due() || values[10] != int64(1) {
			t.Errorf("draft %+v, values %v", d, values)
		}
	}
	d, err := s.draft(t.Context(), greeting{}, []Option{Event("shop", "paid")})
	if err != nil || d.job.Queue != "" || d.job.Mandatory {
		t.Errorf("event %+v, %v", d, err)
	}
}

// A draft that fails says everything that is wrong with its options at once.
func TestDraftReportsAllBadOptions(t *testing.T) {
	t.Parallel()
	_, err := testStore(Config{}).draft(t.Context(), greeting{}, []Option{ID("x"), MaxAttempts(-1), Delay(-time.Second), At(time.Time{}), Queue("")})
	for _, word := range []string{"greeting", "ID", "MaxAttempts", "Delay", "At", "queue"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("error %v does not mention %s", err, word)
		}
	}
}

func TestContextHeadersAreNotShared(t *testing.T) {
	t.Parallel()
	mine := map[string]string{"tenant": "a"}
	s := testStore(Config{HeadersFrom: func(context.Context, ackbox.Job) map[string]string { return mine }})
	if _, err := s.draft(t.Context(), greeting{}, []Option{Header("tenant", "b")}); err != nil || mine["tenant"] != "a" {
		t.Errorf("the caller's map is %v, %v", mine, err)
	}
}

func TestValuesMatchPlaceholders(t *testing.T) {
	t.Parallel()
	for _, dia := range []*dialect{postgresDialect, sqliteDialect} {
		inserts := newStatements(dia, Config{}.withDefaults(postgresDialect)).inserts
		d, err := testStore(Config{}).draft(t.Context(), greeting{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		values, err := d.values(dia)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range inserts {
			want := len(values) << i
			got := strings.Count(text, "?")
			if dia.numbered {
				got = strings.Count(text, "$")
			}
			if got != want {
				t.Errorf("%s: %d rows have %d placeholders, want %d", dia.name, 1<<i, got, want)
			}
		}
	}
}

func FuzzErrorText(f *testing.F) {
	for _, seed := range []string{"", "a\x00b", "\xff\xfe", strings.Repeat("é", maxErrorBytes), strings.Repeat("\x00", maxErrorBytes), "\xe2\x82"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := errorText(s)
		if !plain(got) || len(got) > maxErrorBytes+len("…") || utf8.RuneCountInString(got) > maxErrorBytes+1 {
			t.Errorf("errorText(%q) = %q, %d bytes", s, got, len(got))
		}
		if plain(s) && len(s) <= maxErrorBytes && got != s {
			t.Errorf("errorText changed %q to %q", s, got)
		}
		if again := errorText(got); len(got) <= maxErrorBytes && again != got {
			t.Errorf("errorText of %q is %q", got, again)
		}
	})
}

func FuzzIdentifier(f *testing.F) {
	for _, seed := range []string{"ackbox_jobs", `x"; drop table`, "", "a\n", "1a", "É", strings.Repeat("a", 41)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !identifier.MatchString(s) {
			return
		}
		if len(s) < 1 || len(s) > 40 || strings.ContainsAny(s, "\"'; \n\\.-$?{}") || s[0] >= '0' && s[0] <= '9' || s != strings.ToLower(s) {
			t.Errorf("%q was taken for an identifier", s)
		}
	})
}

func FuzzValidID(f *testing.F) {
	for _, seed := range []string{NewID(), strings.ToUpper(NewID()), "", "{}", "urn:uuid:" + NewID(), NewID() + ","} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if validID(s) && (len(s) != 36 || strings.Trim(s, "0123456789abcdef-") != "" || strings.Count(s, "-") != 4) {
			t.Errorf("%q was taken for an id", s)
		}
	})
}

func TestReachable(t *testing.T) {
	t.Parallel()
	if reachable(ackbox.Sent, ackbox.Nacked) || reachable(ackbox.Nacked, ackbox.Sent) || reachable(ackbox.Sent, ackbox.Cancelled) || reachable(ackbox.Pending, "lost") {
		t.Error("an arrow that the drawing lacks")
	}
	if !reachable(ackbox.Nacked, ackbox.Cancelled) || !reachable(ackbox.Sent, ackbox.Pending) || !reachable(ackbox.Pending, ackbox.Done) {
		t.Error("an arrow of the drawing is missing")
	}
}
