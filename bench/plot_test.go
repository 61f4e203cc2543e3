package main

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLinesThereAndBack(t *testing.T) {
	t.Parallel()
	want := []line{
		{Sweep: "batch", Series: "rate", X: 50, Unit: "msg/s", Median: 20, Min: 10, Max: 30, Rounds: 3},
		{Sweep: "batch", Series: "p50", X: 50, Unit: "ms", Median: 2, Min: 2, Max: 2, Rounds: 3},
	}
	var text bytes.Buffer
	if err := writeLines(&text, want); err != nil {
		t.Fatal(err)
	}
	text.WriteString("\n")
	got, err := parseLines(&text)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func TestLinesThatCannotBeDrawn(t *testing.T) {
	t.Parallel()
	const good = `{"sweep":"batch","series":"rate","x":50,"median":20,"min":10,"max":30}` + "\n"
	for _, bad := range []string{
		"no object",
		`{"case":"relay_vs_limit","ours":1}`,
		`{"sweep":"batch","series":"rate","x":0,"median":20,"min":10,"max":30}`,
		`{"sweep":"batch","series":"rate","x":50,"median":0,"min":0,"max":0}`,
		`{"sweep":"batch","series":"rate","x":50,"median":20,"min":30,"max":30}`,
	} {
		if _, err := parseLines(strings.NewReader(good + bad)); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// Every series that is measured is drawn, and nothing else is asked for.
func TestChartsFitTheSweeps(t *testing.T) {
	t.Parallel()
	var measured, drawn []string
	for _, s := range allSweeps(true) {
		for _, series := range s.series {
			measured = append(measured, s.name+"/"+series.name)
		}
	}
	for _, c := range allCharts() {
		for _, p := range c.panels {
			for _, curve := range p.series {
				drawn = append(drawn, c.sweep+"/"+curve.series)
			}
		}
	}
	slices.Sort(measured)
	slices.Sort(drawn)
	if !slices.Equal(measured, drawn) {
		t.Errorf("measured %v, drawn %v", measured, drawn)
	}
}

func TestDrawPlots(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	var lines []line
	for _, s := range allSweeps(true) {
		for _, series := range s.series {
			for _, p := range s.points {
				lines = append(lines, line{Sweep: s.name, Series: series.name, X: p.x, Median: 100 + p.x, Min: 90 + p.x, Max: 120 + p.x})
			}
		}
	}
	from := filepath.Join(folder, "lines")
	var text bytes.Buffer
	if err := writeLines(&text, lines); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(from, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	plots := filepath.Join(folder, "plots")
	if err := drawPlots(plots, from); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"instances", "batch", "payload", "queues", "prefetch"} {
		raw, err := os.ReadFile(filepath.Join(plots, name+".png"))
		if err != nil {
			t.Error(err)
			continue
		}
		size, err := png.DecodeConfig(bytes.NewReader(raw))
		if err != nil || size.Width != pictureWidth || size.Height != pictureHeight {
			t.Errorf("%s: %d by %d, %v", name, size.Width, size.Height, err)
		}
	}
}

func TestDrawPlotsOfNothing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := drawPlots(folder, ""); err == nil || !strings.Contains(err.Error(), "-from") {
		t.Errorf("without -from: %v", err)
	}
	for name, text := range map[string]string{"empty": "", "stranger": `{"sweep":"weather","series":"rain","x":1,"median":2,"min":1,"max":3}`} {
		from := filepath.Join(folder, name)
		if err := os.WriteFile(from, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := drawPlots(folder, from); err == nil {
			t.Errorf("%s: drawn", name)
		}
	}
}

func TestLabels(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 2.5: "2.5", 200: "200", 2000: "2,000", 1234567: "1,234,567"} {
		if got := grouped(v); got != want {
			t.Errorf("%g: %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{100: "100 B", 1000: "1 KB", 100_000: "100 KB", 1_000_000: "1 MB", 5e9: "5,000 MB"} {
		if got := byteSize(v); got != want {
			t.Errorf("%g: %q, want %q", v, got, want)
		}
	}
}

func TestDecades(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64][2]float64{1: {1, 1}, 7: {1, 10}, 100: {100, 100}, 25_000: {10_000, 100_000}} {
		if below, above := decadeBelow(v), decadeAbove(v); below != want[0] || above != want[1] {
			t.Errorf("%g: from %g to %g, want %v", v, below, above, want)
		}
	}
	var labels []string
	for _, tick := range decades(10, 1000, panel{logY: true}.at) {
		if tick.Label != "" {
			labels = append(labels, tick.Label)
		}
	}
	if !slices.Equal(labels, []string{"10", "100", "1,000"}) {
		t.Errorf("labels are %v", labels)
	}
}

func TestEvenTicks(t *testing.T) {
	t.Parallel()
	for most, last := range map[float64]string{24_100: "20,000", 9_000: "9,000", 1.2: "1.2", 0.75: "0.7", 100: "100", 39: "35"} {
		ticks := evenTicks(most)
		if n := len(ticks); n < 5 || n > 10 || ticks[0].Label != "0" || ticks[n-1].Label != last {
			t.Errorf("up to %g: %d ticks from %s to %s, want up to %s", most, n, ticks[0].Label, ticks[n-1].Label, last)
		}
	}
}
