package dashboard

import (
	"time"

	"github.com/ackbox/ackbox/outbox"
)

// ParseSearch is parseSearch, for tests.
func ParseSearch(state, text string, now time.Time) (f outbox.Filter, id string, err error) {
	s, err := parseSearch(state, text, now)
	return s.Filter, s.ID, err
}

// AsText is asText, for tests.
func AsText(f outbox.Filter) string { return asText(f) }

// InWords is inWords, for tests.
func InWords(f outbox.Filter) string { return inWords(f) }

// ShowPayload is showPayload, for tests.
func ShowPayload(b []byte) (form, text string, shown int) {
	p := showPayload(b)
	return p.Form, p.Text, p.Shown
}

// Span is span, for tests.
func Span(d time.Duration) string { return span(d) }

// BackTo is backTo, for tests.
func BackTo(s string) string { return backTo(s).String() }

// Drawing draws a chart of two series, for tests.
func Drawing(unit string, values, bad []float64) (svg string, ticks []string) {
	c := chart{Title: "t", Unit: unit, Step: time.Minute, Series: []series{
		{"a", "area", "good", values}, {"b", "bars", "bad", bad},
	}}
	return string(c.Drawing()), c.Ticks()
}
