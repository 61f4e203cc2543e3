package dashboard_test

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ackbox/ackbox/dashboard"
)

func TestPayload(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, form, text string }{
		{"", "empty", ""},
		{`{"a":12345678901234567890,"b":[1.10]}`, "JSON", "{\n  \"a\": 12345678901234567890,\n  \"b\": [\n    1.10\n  ]\n}"},
		{`{"a":`, "text", `{"a":`},
		{"ä\tb\n", "text", "ä\tb\n"},
		{"a\x1b[31m\u202eb", "text", `a\u001b[31m\u202eb`},
		{"\x00\x01\xff", "bytes", "00000000  00 01 ff"},
		{"a\x00b", "bytes", "00000000  61 00 62"},
	} {
		form, text, _ := dashboard.ShowPayload([]byte(c.in))
		if form != c.form || !strings.HasPrefix(text, c.text) {
			t.Errorf("%q: %s %q, want %s %q", c.in, form, text, c.form, c.text)
		}
	}
}

// However large or deep a payload is, what is shown of it is bounded.
func TestPayloadIsBounded(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"long text":   strings.Repeat("ä", 1<<20),
		"long, odd":   "x" + strings.Repeat("ä", 1<<20),
		"long bytes":  strings.Repeat("\xff", 1<<20),
		"long JSON":   `"` + strings.Repeat("x", 1<<20) + `"`,
		"deep JSON":   strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"wide JSON":   strings.Repeat("[", 23) + strings.Repeat("1,", 30000) + "1" + strings.Repeat("]", 23),
		"all control": strings.Repeat("\x01", 64<<10),
	} {
		form, text, shown := dashboard.ShowPayload([]byte(in))
		if len(text) > 2<<20 || shown > 64<<10 || !utf8.ValidString(text) {
			t.Errorf("%s: %s of %d bytes, %d shown", name, form, len(text), shown)
		}
		if form == "bytes" && name != "long bytes" {
			t.Errorf("%s: is said to be no text", name)
		}
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 µs", 1500 * time.Microsecond: "1 ms", 2500 * time.Millisecond: "2.5 s", 42 * time.Second: "42 s",
		90 * time.Second: "1 min 30 s", 25 * time.Minute: "25 min", 90 * time.Minute: "1 h 30 min", 50 * time.Hour: "2 d 2 h",
		-time.Second: "−1.0 s", time.Duration(math.MaxInt64): "106751 d",
	} {
		if got := dashboard.Span(d); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
}

// A chart is well-formed, whatever happened.
func TestChart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values, bad []float64
		unit        string
		top         string
	}{
		{nil, nil, "jobs", "1"},
		{[]float64{0, 0}, []float64{0, 0}, "jobs", "1"},
		{[]float64{1, 7, 3}, []float64{0, 1, 0}, "jobs", "8"},
		{[]float64{123456}, nil, "jobs", "150k"},
		{[]float64{math.MaxInt64}, nil, "jobs", ""},
		{[]float64{0.0042, 0.5}, nil, "seconds", "500 ms"},
	} {
		svg, ticks := dashboard.Drawing(c.unit, c.values, c.bad)
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v: %v in %s", c.values, err, svg)
			}
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || strings.Contains(svg, "style") {
			t.Errorf("%v: %s", c.values, svg)
		}
		if c.top != "" && ticks[0] != c.top {
			t.Errorf("%v: the top is %q, want %q", c.values, ticks[0], c.top)
		}
		if bars := strings.Count(svg, `class="bar bad"`); len(c.bad) == 3 && bars != 1 {
			t.Errorf("%d bars for one failure", bars)
		}
	}
}
