package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// writeTable prints results for people.
func writeTable(w io.Writer, results []result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format, args...) } // Flush has the error
	line("case\tunit\tours (min–max)\tother (min–max)\tratio (min–max)\tbound\t\n")
	for _, r := range results {
		verdict := ""
		if bound := r.bound(); bound != "" {
			verdict = bound + ": missed"
			if r.met() {
				verdict = bound + ": met"
			}
		}
		line("%s\t%s\t%s\t%s\t%s\t%s\t\n", r.name, r.unit, r.ours, r.other, r.ratios, verdict)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return nil
}

// String shows s with three significant digits or all whole ones.
func (s spread) String() string {
	return fmt.Sprintf("%s (%s–%s)", digits(s.median), digits(s.least), digits(s.most))
}

func digits(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0): // a ratio to nothing
		return "–"
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// record is a line of -json.
type record struct {
	Case     string  `json:"case"`
	Ours     float64 `json:"ours"`
	Other    float64 `json:"other"`
	Ratio    float64 `json:"ratio"`
	Unit     string  `json:"unit"`
	OursMin  float64 `json:"ours_min"`
	OursMax  float64 `json:"ours_max"`
	OtherMin float64 `json:"other_min"`
	OtherMax float64 `json:"other_max"`
	RatioMin float64 `json:"ratio_min"`
	RatioMax float64 `json:"ratio_max"`
	Rounds   int     `json:"rounds"`
	Bound    string  `json:"bound,omitempty"`
	Met      *bool   `json:"met,omitempty"`
}

// writeJSON prints one object per line and result.
func writeJSON(w io.Writer, results []result) error {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for _, r := range results {
		line := record{
			Case: r.name, Unit: r.unit, Rounds: r.rounds, Bound: r.bound(),
			Ours: r.ours.median, OursMin: r.ours.least, OursMax: r.ours.most,
			Other: r.other.median, OtherMin: r.other.least, OtherMax: r.other.most,
			Ratio: finite(r.ratios.median), RatioMin: finite(r.ratios.least), RatioMax: finite(r.ratios.most),
		}
		if line.Bound != "" {
			met := r.met()
			line.Met = &met
		}
		if err := lines.Encode(line); err != nil {
			return fmt.Errorf("print a result: %w", err)
		}
	}
	return nil
}

// finite replaces what JSON cannot hold: a ratio to nothing.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}
