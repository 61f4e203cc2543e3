package main

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func after(seconds float64) time.Time {
	return noon.Add(time.Duration(seconds * float64(time.Second)))
}

func TestScaleSteps(t *testing.T) {
	good := scaleOptions{rows: leastRows, steady: leastSteady}
	for _, test := range []struct {
		only string
		want []string // nil: an error
	}{
		{"", []string{"backlog", "purge", "partitions", "vacuum"}},
		{"vacuum,purge", []string{"purge", "vacuum"}},
		{"purge,", nil},
		{"purge,purge", nil},
		{"relay", nil},
	} {
		o := good
		o.only = test.only
		steps, err := o.steps()
		var got []string
		for _, s := range steps {
			got = append(got, s.name)
		}
		if !slices.Equal(got, test.want) || (err == nil) != (test.want != nil) {
			t.Errorf("-scale-step %q: %v, %v; want %v", test.only, got, err, test.want)
		}
	}
	for _, o := range []scaleOptions{{rows: leastRows - 1, steady: leastSteady}, {rows: leastRows, steady: leastSteady - 1}} {
		if _, err := o.steps(); err == nil {
			t.Errorf("%+v is no error", o)
		}
	}
}

func TestParseScale(t *testing.T) {
	o, err := parse([]string{"-scale", "-rows", "5000", "-steady", "1m", "-scale-step", "purge"}, io.Discard)
	if want := (scaleOptions{on: true, rows: 5000, steady: time.Minute, only: "purge"}); err != nil || o.scale != want {
		t.Errorf("got %+v, %v; want %+v", o.scale, err, want)
	}
}

func TestPaceOf(t *testing.T) {
	batches := []batch{
		{claim: 10 * time.Millisecond, jobs: 100, over: after(1)},
		{claim: 20 * time.Millisecond, jobs: 100, over: after(2)},
		{claim: 30 * time.Millisecond, jobs: 200, over: after(3)},
		{claim: 40 * time.Millisecond, jobs: 100, over: after(5)},
	}
	for _, test := range []struct {
		name     string
		from, to int
		want     relayPace
	}{
		{"all", 0, 500, relayPace{rate: 100, p50: 20, p99: 40, seconds: 5}},
		{"first", 0, 100, relayPace{rate: 100, p50: 10, p99: 10, seconds: 1}},
		{"middle", 100, 400, relayPace{rate: 150, p50: 20, p99: 30, seconds: 2}},
		{"within a batch", 150, 250, relayPace{rate: 150, p50: 20, p99: 30, seconds: 2}},
		{"last", 400, 500, relayPace{rate: 50, p50: 40, p99: 40, seconds: 2}},
		{"none", 500, 500, relayPace{}},
	} {
		if got := paceOf(batches, noon, test.from, test.to); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
	if got, want := claimsBetween(batches, after(2), after(5)), []float64{20, 30}; !slices.Equal(got, want) {
		t.Errorf("claims between are %v, want %v", got, want)
	}
}

func TestFlow(t *testing.T) {
	f := newFlow(nil)
	f.ended(1, after(0), after(0.5))
	f.began(1, after(0.75))
	f.began(2, after(1)) // before its commit's answer
	f.ended(2, after(0.9), after(1.1))
	f.ended(3, after(2), after(2.25)) // nobody has handled it
	want := flowFigures{rate: 1, latency: [3]float64{0, 250, 250}, commit: [3]float64{200, 500, 500}}
	if got := f.between(after(0), after(2)); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if len(f.started) != 0 || len(f.committed) != 1 {
		t.Errorf("%v have started and %v were committed: want job 3 committed alone", f.started, f.committed)
	}
	if got := f.between(after(5), after(5)); got != (flowFigures{}) {
		t.Errorf("in no time: %+v", got)
	}
}

func TestStale(t *testing.T) {
	for _, test := range []struct {
		analyzed, rows int
		want           bool
	}{{0, 50, false}, {0, 51, true}, {1000, 1100, false}, {1000, 1101, true}} {
		if got := stale(test.analyzed, test.rows); got != test.want {
			t.Errorf("stale(%d, %d) = %v", test.analyzed, test.rows, got)
		}
	}
}

func TestFillStatement(t *testing.T) {
	got := fillStatement("jobs", []string{"id", "kind", "due_at"}, map[string]string{"id": "new()", "due_at": "s.at"})
	if want := "INSERT INTO jobs (id, kind, due_at)\nSELECT new(), t.kind, s.at\nFROM bench_template AS t"; !strings.HasPrefix(got, want) {
		t.Errorf("got %s", got)
	}
}

func TestPlanValues(t *testing.T) {
	const plan = `duration: 2.446 ms  plan:
Limit  (cost=0.29..35.53 rows=256 width=302) (actual time=0.026..0.258 rows=256 loops=1)
  Buffers: shared hit=269 read=7 dirtied=1
  ->  LockRows  (cost=0.29..4130.26 rows=30001 width=302) (actual time=0.025..0.242 rows=256 loops=1)
        Buffers: shared hit=13`
	want := []value{{"ms", 0.258}, {"buffers_hit", 269}, {"buffers_read", 7}}
	if got := planValues(plan); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := planValues("no plan"); !slices.Equal(got, []value{{"ms", 0}, {"buffers_hit", 0}, {"buffers_read", 0}}) {
		t.Errorf("without a plan: %v", got)
	}
}

func TestParsePeak(t *testing.T) {
	if got, ok := parsePeak("Name:\tbench\nVmHWM:\t   30188 kB\nVmRSS:\t 2 kB\n"); got != 30188*1024 || !ok {
		t.Errorf("got %v, %v", got, ok)
	}
	for _, status := range []string{"", "VmHWM: many kB\n"} {
		if got, ok := parsePeak(status); ok {
			t.Errorf("%q: %v", status, got)
		}
	}
}

func TestScaleReport(t *testing.T) {
	var out bytes.Buffer
	r := newScaleReport(&out)
	for _, m := range []measurement{
		{step: "a", name: "first", values: []value{{"z_ms", 1.5}, {"b_mb", 200}}},
		{step: "a", name: "a plan", values: []value{{"ms", 3}}, plan: "Index Scan (due_at <= now())"},
		{step: "a", name: "second", values: []value{{"z_ms", 2}, {"b_mb", 300}}},
	} {
		if err := r.add(m); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var first map[string]any
	if len(lines) != 3 || json.Unmarshal([]byte(lines[0]), &first) != nil || first["z_ms"] != 1.5 || first["name"] != "first" || first["step"] != "a" {
		t.Errorf("the lines are %s", out.String())
	}
	if !strings.Contains(lines[1], `"plan":"Index Scan (due_at <= now())"`) {
		t.Errorf("the plan's line is %s", lines[1])
	}
	out.Reset()
	if err := r.writeTables(); err != nil {
		t.Fatal(err)
	}
	var words [][]string
	for line := range strings.Lines(out.String()) {
		if fields := strings.Fields(line); len(fields) > 0 {
			words = append(words, fields)
		}
	}
	want := [][]string{{"a", "z_ms", "b_mb"}, {"first", "1.50", "200"}, {"second", "2.00", "300"}, {"a", "ms"}, {"a", "plan", "3.00"}}
	if !slices.EqualFunc(words, want, slices.Equal) {
		t.Errorf("the tables are\n%s", out.String())
	}
}

func TestFirstID(t *testing.T) {
	// 2 January 2026, noon, is 1,767,355,200,000 ms.
	if got, want := firstID(noon), "019b7e94320000000000000000000000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
