package dashboard

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// chart is what happened over time, drawn as SVG. Its labels are beside the drawing, as
// text of the page: so the drawing can have any width.
type chart struct {
	Title string `json:"title"`
	// Unit is "jobs" or "seconds".
	Unit   string        `json:"unit"`
	From   time.Time     `json:"from"`
	Step   time.Duration `json:"step"`
	Series []series      `json:"series"`
}

// series is one line, area or row of bars of a chart.
type series struct {
	Name string `json:"name"`
	// Shape is "line", "area" or "bars"; Tone is a class of the style sheet.
	Shape  string    `json:"-"`
	Tone   string    `json:"-"`
	Values []float64 `json:"values"`
}

// The drawing's own units.
const (
	chartWidth  = 600
	chartHeight = 120
)

// Len is how many steps the chart has.
func (c chart) Len() int {
	n := 0
	for _, s := range c.Series {
		n = max(n, len(s.Values))
	}
	return n
}

// Empty reports whether nothing happened.
func (c chart) Empty() bool { return c.peak() == 0 }

func (c chart) peak() float64 {
	peak := 0.0
	for _, s := range c.Series {
		for _, v := range s.Values {
			peak = max(peak, v)
		}
	}
	return peak
}

// top is the round number at the chart's upper edge.
func (c chart) top() float64 {
	peak := c.peak()
	if peak == 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(peak)))
	for _, m := range []float64{1, 1.5, 2, 3, 4, 5, 6, 8, 10} {
		// A half is labelled too, and of jobs there are whole ones.
		if m*unit >= peak && (c.Unit != "jobs" || math.Mod(m*unit, 2) == 0) {
			return m * unit
		}
	}
	return 2 * math.Ceil(peak/2)
}

// Ticks label the upper edge, the middle and the base.
func (c chart) Ticks() []string {
	top := c.top()
	return []string{c.amount(top), c.amount(top / 2), "0"}
}

// Clocks label the beginning, the middle and the end.
func (c chart) Clocks() []string {
	layout := "15:04"
	if c.Step*time.Duration(c.Len()) > 25*time.Hour {
		layout = "Mon 2 Jan"
	}
	end := c.From.Add(c.Step * time.Duration(c.Len()))
	middle := c.From.Add(end.Sub(c.From) / 2)
	return []string{c.From.UTC().Format(layout), middle.UTC().Format(layout), end.UTC().Format(layout)}
}

// Latest is what a series had in its last whole step, for the legend.
func (c chart) Latest(s series) string {
	if len(s.Values) < 2 {
		return "–"
	}
	return c.amount(s.Values[len(s.Values)-2])
}

func (c chart) amount(v float64) string {
	if c.Unit == "seconds" {
		if v == 0 {
			return "0"
		}
		return span(time.Duration(v * float64(time.Second)))
	}
	if v >= 10000 {
		return strconv.FormatFloat(math.Round(v/100)/10, 'f', -1, 64) + "k"
	}
	return number(int64(v))
}

// Drawing is the chart as SVG, without any text but the hints of its steps.
func (c chart) Drawing() template.HTML {
	n, top := c.Len(), c.top()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s" class="plot">`,
		chartWidth, chartHeight, template.HTMLEscapeString(c.Title))
	for _, y := range []int{0, chartHeight / 2, chartHeight} {
		fmt.Fprintf(&b, `<line class="grid" x1="0" x2="%d" y1="%d" y2="%d"/>`, chartWidth, y, y)
	}
	for _, s := range c.Series {
		switch s.Shape {
		case "bars":
			drawBars(&b, s, n, top)
		case "area":
			fmt.Fprintf(&b, `<path class="area %s" d="%sL%d %dL0 %dZ"/>`, s.Tone, curve(s.Values, n, top, chartWidth, chartHeight), chartWidth, chartHeight, chartHeight)
			fmt.Fprintf(&b, `<path class="line %s" d="%s"/>`, s.Tone, curve(s.Values, n, top, chartWidth, chartHeight))
		default:
			fmt.Fprintf(&b, `<path class="line %s" d="%s"/>`, s.Tone, curve(s.Values, n, top, chartWidth, chartHeight))
		}
	}
	c.drawHints(&b, n)
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // numbers, and words of ours that are escaped
}

// drawHints lays a column over each step that says what happened there.
func (c chart) drawHints(b *strings.Builder, n int) {
	layout := "15:04"
	if c.Step >= time.Hour {
		layout = "Mon 2 Jan 15:04"
	}
	for i := range n {
		parts := make([]string, 0, len(c.Series))
		for _, s := range c.Series {
			if i < len(s.Values) {
				parts = append(parts, s.Name+" "+c.amount(s.Values[i]))
			}
		}
		fmt.Fprintf(b, `<rect class="hint" x="%.1f" y="0" width="%.1f" height="%d"><title>%s UTC: %s</title></rect>`,
			float64(i)*chartWidth/float64(n), float64(chartWidth)/float64(n), chartHeight,
			c.From.Add(time.Duration(i)*c.Step).UTC().Format(layout), template.HTMLEscapeString(strings.Join(parts, ", ")))
	}
}

func drawBars(b *strings.Builder, s series, n int, top float64) {
	wide := float64(chartWidth) / float64(n)
	for i, v := range s.Values {
		if v <= 0 {
			continue
		}
		high := max(v/top*chartHeight, 2) // one failure among thousands is seen
		fmt.Fprintf(b, `<rect class="bar %s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`,
			s.Tone, float64(i)*wide+wide*0.1, chartHeight-high, wide*0.8, high)
	}
}

// curve goes through the middle of each step, and out to both edges.
func curve(values []float64, n int, top float64, wide, high float64) string {
	var b strings.Builder
	for i, v := range values {
		y := high - v/top*(high-1)
		if i == 0 {
			fmt.Fprintf(&b, "M0 %.1f", y)
		}
		fmt.Fprintf(&b, "L%.1f %.1f", (float64(i)+0.5)*wide/float64(n), y)
		if i == len(values)-1 {
			fmt.Fprintf(&b, "L%.1f %.1f", wide, y)
		}
	}
	return b.String()
}

// spark is a small chart without labels, for a line of a table.
type spark struct {
	Values []float64
	// Bad are drawn as bars over it.
	Bad []float64
}

// MarshalJSON implements json.Marshaler: readers of JSON ask for the numbers by page now.
func (spark) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// Drawing is the spark as SVG.
func (s spark) Drawing() template.HTML {
	const wide, high = 120, 24
	top := 1.0
	for _, v := range append(append([]float64{}, s.Values...), s.Bad...) {
		top = max(top, v)
	}
	n := max(len(s.Values), len(s.Bad), 1)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" preserveAspectRatio="none" aria-hidden="true" class="spark">`, wide, high)
	if len(s.Values) > 0 {
		line := curve(s.Values, n, top, wide, high)
		fmt.Fprintf(&b, `<path class="area good" d="%sL%d %dL0 %dZ"/><path class="line good" d="%s"/>`, line, wide, high, high, line)
	}
	for i, v := range s.Bad {
		if v > 0 {
			tall := max(v/top*high, 3)
			fmt.Fprintf(&b, `<rect class="bar bad" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`,
				float64(i)*wide/float64(n), high-tall, float64(wide)/float64(n), tall)
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // numbers
}
