package main

import (
	"math"
	"strings"
	"testing"
)

func results() []result {
	return []result{{
		row:    row{name: "relay_vs_limit", unit: "msg/s", ratio: 0.9},
		rounds: 5, ours: spread{28_000, 27_000, 29_000}, other: spread{30_000, 29_500, 31_000}, ratios: spread{0.933, 0.9, 0.95},
	}, {
		row:    row{name: "idle_cpu", unit: "ms", cost: true},
		rounds: 5, ours: spread{12.34, 1.234, 20}, other: spread{}, ratios: spread{math.Inf(1), 0, math.NaN()},
	}}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := writeTable(&b, results()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines, want a head and 2 rows:\n%s", len(lines), b.String())
	}
	for i, parts := range [][]string{
		{"case", "ours (min–max)", "ratio"},
		{"relay_vs_limit", "28000 (27000–29000)", "0.93 (0.90–0.95)", "ratio >= 0.90: met"},
		{"idle_cpu", "12.3 (1.23–20.0)", "– (0.00––)"},
	} {
		for _, part := range parts {
			if !strings.Contains(lines[i], part) {
				t.Errorf("line %q lacks %q", lines[i], part)
			}
		}
	}
}

func TestJSON(t *testing.T) {
	var b strings.Builder
	if err := writeJSON(&b, results()); err != nil {
		t.Fatal(err)
	}
	want := `{"case":"relay_vs_limit","ours":28000,"other":30000,"ratio":0.933,"unit":"msg/s","ours_min":27000,"ours_max":29000,"other_min":29500,"other_max":31000,"ratio_min":0.9,"ratio_max":0.95,"rounds":5,"bound":"ratio >= 0.90","met":true}
{"case":"idle_cpu","ours":12.34,"other":0,"ratio":0,"unit":"ms","ours_min":1.234,"ours_max":20,"other_min":0,"other_max":0,"ratio_min":0,"ratio_max":0,"rounds":5}
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestChoose(t *testing.T) {
	all := allCases()
	for _, c := range all {
		if len(c.rows) == 0 || c.rows[0].name != c.name {
			t.Errorf("the first row of %s has another name", c.name)
		}
	}
	for name, want := range map[string]string{
		"relay_vs_limit":                      "relay_vs_limit",
		"cpu_per_job":                         "drain_vs_river_default drain_vs_river_wide drain_vs_river_tuned",
		"cpu_per_job_postgres_vs_river_tuned": "drain_vs_river_tuned",
	} {
		chosen, err := choose(all, []string{name}, true)
		if got := strings.Join(names(chosen), " "); err != nil || got != want {
			t.Errorf("-case %s chooses %q (%v), want %q", name, got, err, want)
		}
	}
	if _, err := choose(all, []string{"nonsense"}, false); err == nil || !strings.Contains(err.Error(), "relay_vs_limit") {
		t.Errorf("an unknown name: %v", err)
	}
	quick, _ := choose(all, nil, true)
	full, _ := choose(all, nil, false)
	if len(full) != len(all) || len(quick) >= len(full) {
		t.Errorf("%d cases, %d with -quick, %d without", len(all), len(quick), len(full))
	}
}

func TestPayload(t *testing.T) {
	raw, err := encoded(newOrder(123_456))
	if err != nil || len(raw) < 140 || len(raw) > 160 {
		t.Errorf("the payload is %d bytes of JSON (%v): want about 150: %s", len(raw), err, raw)
	}
}

func TestStat(t *testing.T) {
	id, parent, cpu, ok := parseStat("42 (a) b) S 7 42 42 0 -1 0 1 2 3 4 10 20 30 40 20 0 1 0 99 0")
	if !ok || id != 42 || parent != 7 || cpu != 100*clockTick {
		t.Errorf("parseStat = %d, %d, %v, %v", id, parent, cpu, ok)
	}
	if _, _, _, ok := parseStat("42 (short) S 7"); ok {
		t.Error("half a line is accepted")
	}
}
