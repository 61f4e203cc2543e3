package outbox

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/name"
)

// letter is Args of any kind and text.
type letter struct{ kind, text string }

// Kind implements ackbox.Args.
func (l letter) Kind() string { return l.kind }

// MarshalJSON implements json.Marshaler.
func (l letter) MarshalJSON() ([]byte, error) { return json.Marshal(l.text) }

// A job of any names, headers and texts is refused, with an error of a bounded
// length that is fit for a log, or can be stored: by PostgreSQL, whose text and
// jsonb hold less than a Go string.
func FuzzDraft(f *testing.F) {
	f.Add("greeting", "default", "x", "key", "traceparent", "00-1", "text", int64(0), 0, uint16(0))
	f.Add("a b", "nowhere", "", "", "", "", "", int64(-1), -1, uint16(255))
	f.Add("k", "default", "", "", "", "", "order:42", int64(0), 1, uint16(256))
	f.Add("k", "default", "", "default", "X-Ackbox-Ledger", "true", "\x00", int64(time.Hour), 1000, uint16(3))
	f.Add("k", "default", "x\x00", "\xff", "a\x00", "\xff", "\xff\u2028<", int64(1<<63-1), 1001, uint16(5))
	f.Add(strings.Repeat("k", 201), "", strings.Repeat("x", 201), strings.Repeat("é", 101), strings.Repeat("n", 201), strings.Repeat("v", 200), "'; --", int64(1), 1, uint16(9))
	f.Add("k", "", "{table}", "$1 ? {now}", `\u0000`, `"\u0000"`, `\u0000`, int64(1), 1, uint16(4))
	s := testStore(Config{Queues: []string{"default"}, MaxPayloadBytes: 1000, MaxHeaderBytes: 500})
	f.Fuzz(func(t *testing.T, kind, queue, exchange, key, header, value, text string, delay int64, tries int, use uint16) {
		var opts []Option
		for i, opt := range []Option{
			Queue(queue), Via(exchange, key), Event(exchange, key), Header(header, value), Delay(time.Duration(delay)), MaxAttempts(tries), ID(text), At(time.Unix(delay, 0)), Key(text),
		} {
			if use&(1<<i) != 0 {
				opts = append(opts, opt)
			}
		}
		d, err := s.draft(t.Context(), letter{kind, text}, opts)
		if err != nil {
			// What is wrong is quoted, and shortened.
			if !plain(err.Error()) || strings.Contains(err.Error(), "\r") || len(err.Error()) > 3000 || !strings.HasPrefix(err.Error(), "outbox: ") {
				t.Errorf("error %q", err)
			}
			return
		}
		j := d.job
		for what, s := range map[string]string{"kind": j.Kind, "queue": j.Queue, "exchange": j.Exchange, "routing key": j.RoutingKey, "key": j.Key} {
			if !plain(s) || len(s) > name.MaxLen {
				t.Errorf("%s %q cannot be stored", what, s)
			}
		}
		if !validID(j.ID) || j.MaxAttempts < 1 || j.MaxAttempts > 1000 || len(j.Payload) > 1000 || (j.Queue == "") != d.event {
			t.Errorf("draft %+v", d)
		}
		for _, dia := range []*dialect{postgresDialect, sqliteDialect} {
			values, err := d.values(dia)
			if err != nil {
				t.Fatal(err)
			}
			if ms, ok := values[10].(int64); !ok || ms < 0 {
				t.Errorf("delay %v is %v ms", d.delay, values[10])
			}
			headers, ok := values[7].(string)
			if !ok {
				continue // none
			}
			// jsonb takes every escape but that of NUL.
			if strings.Contains(strings.ReplaceAll(headers, `\\`, ""), `\u0000`) {
				t.Errorf("headers %s cannot be stored", headers)
			}
			var back map[string]string
			if err := json.Unmarshal([]byte(headers), &back); err != nil || !maps.Equal(back, j.Headers) {
				t.Errorf("headers %q come back as %q, %v", j.Headers, back, err)
			}
		}
		if !bytes.Contains(j.Payload, []byte{'"'}) {
			t.Errorf("payload %s", j.Payload)
		}
	})
}

// Whatever names a Config may have, no token and no unnumbered parameter is
// left in a statement: data, which comes later and only as parameters, finds
// nothing that it could be put in the place of.
func FuzzStatements(f *testing.F) {
	for _, seed := range [][2]string{{"", "ackbox_jobs"}, {"public", "_"}, {"{now}", "{table}"}, {"a", `x"; --`}, {"?", "$1"}, {"select", strings.Repeat("z", 40)}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, schema, table string) {
		for _, d := range []*dialect{postgresDialect, sqliteDialect} {
			cfg := Config{Schema: schema, Table: table}.withDefaults(d)
			if cfg.validate(d) != nil {
				continue
			}
			made := newStatements(d, cfg)
			var texts []string
			for v, i := reflect.ValueOf(made), 0; i < v.NumField(); i++ {
				if field := v.Field(i); field.Kind() == reflect.String {
					texts = append(texts, field.String())
				} else {
					texts = append(texts, made.inserts[:]...)
				}
			}
			for _, text := range texts {
				if strings.ContainsAny(text, "{}") || d.numbered && strings.Contains(text, "?") {
					t.Errorf("%s: %s", d.name, text)
				}
				if rest := strings.NewReplacer(own(made.table)...).Replace(text); strings.Count(rest, `"`) > 0 {
					t.Errorf("%s: a quoted name other than the table's: %s", d.name, text)
				}
			}
		}
	})
}

// own are the names of a Store's tables, to be left out of a text.
func own(table string) []string {
	pairs := []string{versionTable(table), "", `COLLATE "C"`, ""}
	for i, name := range tableNames(table) {
		if i%2 == 1 {
			pairs = append(pairs, name, "")
		}
	}
	return pairs
}
