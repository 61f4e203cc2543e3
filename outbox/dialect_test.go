package outbox

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

func TestDialectOf(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"postgres", "sqlite"} {
		if d, err := dialectOf(name); err != nil || d.name != name {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
	if _, err := dialectOf("mysql"); err == nil || !strings.Contains(err.Error(), "mysql") {
		t.Errorf("mysql: %v", err)
	}
}

func TestBind(t *testing.T) {
	t.Parallel()
	const query = "a ? b ?, ? é"
	if got := postgresDialect.bind(query); got != "a $1 b $2, $3 é" {
		t.Errorf("postgres: %q", got)
	}
	if got := sqliteDialect.bind(query); got != query {
		t.Errorf("sqlite: %q", got)
	}
}

// No token is left in any statement, and none of PostgreSQL's has a ? left.
func TestStatementsAreComplete(t *testing.T) {
	t.Parallel()
	for _, d := range []*dialect{postgresDialect, sqliteDialect} {
		cfg := Config{Table: "my_jobs"}.withDefaults(postgresDialect)
		v := reflect.ValueOf(newStatements(d, cfg))
		for i := range v.NumField() {
			texts := []string{v.Field(i).String()}
			if v.Field(i).Kind() == reflect.Array {
				texts = nil
				for j := range v.Field(i).Len() {
					texts = append(texts, v.Field(i).Index(j).String())
				}
			}
			for _, text := range texts {
				if text == "" && (d.numbered || v.Type().Field(i).Name != "onWire") || strings.ContainsAny(text, "{}") || d.numbered && strings.Contains(text, "?") {
					t.Errorf("%s, %s: %q", d.name, v.Type().Field(i).Name, text)
				}
			}
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	jobs := []*ackbox.Job{{ID: "a", Attempt: 2, Resend: 3}}
	for _, tt := range []struct{ got, want string }{
		{postgresDialect.idList([]string{"a", "b"}), "{a,b}"},
		{sqliteDialect.idList([]string{"a", "b"}), `["a","b"]`},
		{fmt.Sprint(postgresDialect.tries([]core.Transition{{ID: "a", Attempt: 1}, {ID: "b", Attempt: 2}})), "[{a,b} {1,2}]"},
		{postgresDialect.batchList(jobs), "{a}"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
	if got := sqliteDialect.batchList(jobs); !strings.HasPrefix(got, `[{"id":"a","attempt":2,"resend":3`) {
		t.Errorf("batch %s", got)
	}
}

func TestDBTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	for _, src := range []any{at, at.In(time.FixedZone("far", 9*3600)), "2026-01-02 03:04:05.678", sqliteDialect.timeParam(at.In(time.FixedZone("far", -5*3600)))} {
		var got dbTime
		if err := got.Scan(src); err != nil || !got.Valid || !got.Equal(at) || got.Location() != time.UTC || !got.pointer().Equal(at) {
			t.Errorf("%v: %+v, %v", src, got, err)
		}
	}
	got := dbTime{Valid: true}
	if err := got.Scan(nil); err != nil || got.Valid || got.pointer() != nil {
		t.Errorf("NULL: %+v, %v", got, err)
	}
	for _, src := range []any{"yesterday", 5, []byte("2026")} {
		if err := got.Scan(src); err == nil {
			t.Errorf("%v was taken for a time", src)
		}
	}
}

func TestMillis(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int64{
		0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, -1: 0, -time.Hour: 0,
		math.MaxInt64: math.MaxInt64/int64(time.Millisecond) + 1, math.MinInt64: 0,
	} {
		if got := millis(d); got != want {
			t.Errorf("millis(%v) = %d, want %d", d, got, want)
		}
	}
}

// A transition that is not for the job at its place is left out.
func TestMatching(t *testing.T) {
	t.Parallel()
	jobs := []ackbox.Job{{ID: "a", Attempt: 1}, {ID: "b", Attempt: 2}}
	good := []core.Transition{{ID: "a", Attempt: 1, To: ackbox.Sent}, {ID: "b", Attempt: 2, To: ackbox.Dead}}
	if batch, err := matching(jobs, good); err != nil || len(batch) != 2 {
		t.Errorf("%v, %v", batch, err)
	}
	for name, bad := range map[string][]core.Transition{
		"swapped":  {good[1], good[0]},
		"too few":  good[:1],
		"too many": append(good[:2:2], good[0]),
		"no state": {{ID: "a", Attempt: 1}, good[1]},
		"attempt":  {{ID: "a", Attempt: 2, To: ackbox.Sent}, good[1]},
	} {
		batch, err := matching(jobs, bad)
		if err == nil {
			t.Errorf("%s: no error, %v", name, batch)
		}
	}
}
