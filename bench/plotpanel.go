package main

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// palette's colours can be told apart by the colour-blind, and its shapes on
// paper.
var palette = []struct {
	color color.Color
	shape draw.GlyphDrawer
}{
	{color.RGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0xff}, draw.CircleGlyph{}},
	{color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff}, draw.BoxGlyph{}},
}

var gridColor = color.RGBA{R: 0xcc, G: 0xcc, B: 0xcc, A: 0xff}

const (
	// headroom is what the y axis has above the highest bar, as a factor: with a
	// legend, which no grid line shall cross, and without.
	headroomLegend, headroom = 1.2, 1.05
	// sideroom is the part of the x axis that is on either side of the points.
	sideroom = 0.03
)

// plot makes p's axes with its curves on them.
func (p panel) plot(c chart, lines []line) (*plot.Plot, error) {
	drawn := plot.New()
	drawn.Title.Text = p.title
	drawn.Title.Padding = pixels(10)
	drawn.X.Label.Text, drawn.Y.Label.Text = c.x, p.y
	drawn.X.Label.Padding, drawn.Y.Label.Padding = pixels(6), pixels(6)
	drawn.X.Padding, drawn.Y.Padding = 0, 0
	drawn.Legend.Top, drawn.Legend.Left = true, true
	drawn.Legend.XOffs, drawn.Legend.Padding = pixels(10), pixels(4)
	for _, text := range []*draw.TextStyle{
		&drawn.Title.TextStyle, &drawn.Legend.TextStyle,
		&drawn.X.Label.TextStyle, &drawn.Y.Label.TextStyle, &drawn.X.Tick.Label, &drawn.Y.Tick.Label,
	} {
		text.Font.Variant = "Sans"
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = gridColor, gridColor
	drawn.Add(grid)

	var own []line
	for i, curve := range p.series {
		some := linesOf(lines, c.sweep, curve.series)
		if len(some) == 0 {
			return nil, fmt.Errorf("there are no lines of the series %q", curve.series)
		}
		if err := curve.add(drawn, i, some, p.at); err != nil {
			return nil, err
		}
		own = append(own, some...)
	}
	p.scale(drawn, c, own)
	return drawn, nil
}

// at is where v is on the y axis. Logarithms are taken here and not by gonum,
// whose logarithmic axes leave room in the wrong places.
func (p panel) at(v float64) float64 {
	if p.logY {
		return math.Log10(v)
	}
	return v
}

// add draws some lines: points at the medians, bars from least to most, over the
// logarithm of x.
func (c curve) add(drawn *plot.Plot, nth int, some []line, at func(float64) float64) error {
	slices.SortFunc(some, func(a, b line) int { return cmp.Compare(a.X, b.X) })
	var data struct {
		plotter.XYs
		plotter.YErrors
	}
	for _, l := range some {
		y := at(l.Median)
		data.XYs = append(data.XYs, plotter.XY{X: math.Log10(l.X), Y: y})
		data.YErrors = append(data.YErrors, struct{ Low, High float64 }{y - at(l.Min), at(l.Max) - y})
	}
	joined, points, err := plotter.NewLinePoints(data.XYs)
	if err != nil {
		return err
	}
	bars, err := plotter.NewYErrorBars(data)
	if err != nil {
		return err
	}
	look := palette[nth%len(palette)]
	joined.Color, joined.Width = look.color, vg.Points(1.5)
	points.Color, points.Shape, points.Radius = look.color, look.shape, vg.Points(3.5)
	bars.Color, bars.Width = look.color, vg.Points(1.2)
	drawn.Add(joined, bars, points)
	if c.legend != "" {
		drawn.Legend.Add(c.legend, joined, points)
	}
	return nil
}

// scale has a tick on x at each point that was measured, and y from 0, or from
// power of ten to power of ten.
func (p panel) scale(drawn *plot.Plot, c chart, own []line) {
	var ticks plot.ConstantTicks
	least, most := own[0].Min, own[0].Max
	for _, l := range own {
		least, most = min(least, l.Min), max(most, l.Max)
		tick := plot.Tick{Value: math.Log10(l.X), Label: c.xLabel(l.X)}
		if !slices.Contains(ticks, tick) {
			ticks = append(ticks, tick)
		}
	}
	drawn.X.Tick.Marker = ticks
	room := (drawn.X.Max - drawn.X.Min) * sideroom
	drawn.X.Min, drawn.X.Max = drawn.X.Min-room, drawn.X.Max+room
	if p.logY {
		least, most = decadeBelow(least), decadeAbove(most)
		drawn.Y.Min, drawn.Y.Max = p.at(least), p.at(most)
		drawn.Y.Tick.Marker = decades(least, most, p.at)
		return
	}
	drawn.Y.Min, drawn.Y.Max = 0, most*headroom
	if p.series[0].legend != "" {
		drawn.Y.Max = most * headroomLegend
	}
	drawn.Y.Tick.Marker = evenTicks(most)
}

// evenTicks are ticks from 0 up to most, in steps of 1, 2 or 5 times a power of
// ten: the largest steps of which there are 4.
func evenTicks(most float64) plot.ConstantTicks {
	decade, part := decadeBelow(most), 1.0
	for _, part = range []float64{1, 2, 5} {
		if most >= 4*decade/part {
			break
		}
	}
	var ticks plot.ConstantTicks
	for n := 0.0; n*decade/part <= most; n++ {
		ticks = append(ticks, plot.Tick{Value: n * decade / part, Label: grouped(n * decade / part)})
	}
	return ticks
}

// decades are ticks from power of ten to power of ten, and small ones between.
func decades(least, most float64, at func(float64) float64) plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for decade := least; decade <= most; decade *= 10 {
		ticks = append(ticks, plot.Tick{Value: at(decade), Label: grouped(decade)})
		for n := 2.0; n < 10 && n*decade < most; n++ {
			ticks = append(ticks, plot.Tick{Value: at(n * decade)})
		}
	}
	return ticks
}

// decadeBelow is the largest power of ten that v, which is above 0, reaches.
func decadeBelow(v float64) float64 {
	decade := 1.0
	for decade > v {
		decade /= 10
	}
	for decade*10 <= v {
		decade *= 10
	}
	return decade
}

// decadeAbove is the power of ten after decadeBelow, or v if it is one itself.
func decadeAbove(v float64) float64 {
	if below := decadeBelow(v); below < v {
		return below * 10
	}
	return v
}

// grouped is v as people write it: 12,000 or 2.5.
func grouped(v float64) string {
	text := strconv.FormatFloat(v, 'f', -1, 32) // 0.1 × 6 is 0.6
	whole := len(text)
	if dot := slices.Index([]byte(text), '.'); dot >= 0 {
		whole = dot
	}
	for at := whole - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// byteSize is a number of bytes in the largest unit that leaves it at 1 or more.
func byteSize(v float64) string {
	units := []string{"B", "KB", "MB"}
	for len(units) > 1 && v >= 1000 {
		v, units = v/1000, units[1:]
	}
	return grouped(v) + " " + units[0]
}
