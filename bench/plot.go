package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// drawPlots draws the lines of a file of -grow into a folder, a PNG for each
// sweep that is among them.
func drawPlots(folder, from string) (err error) {
	if from == "" {
		return errors.New("-plot: want -from FILE, with the lines that -grow prints")
	}
	file, err := os.Open(from) //nolint:gosec // it was asked for
	if err != nil {
		return fmt.Errorf("-from: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	lines, err := parseLines(file)
	if err != nil {
		return fmt.Errorf("-from %s: %w", from, err)
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return fmt.Errorf("-plot: %w", err)
	}
	drawn := 0
	for _, c := range allCharts() {
		own := linesOf(lines, c.sweep, "")
		if len(own) == 0 {
			continue
		}
		if err := c.draw(filepath.Join(folder, c.sweep+".png"), own); err != nil {
			return fmt.Errorf("draw %s: %w", c.sweep, err)
		}
		drawn += len(own)
	}
	if drawn < len(lines) || drawn == 0 {
		return fmt.Errorf("-from %s: %d of %d lines are of no sweep that there is a plot for", from, len(lines)-drawn, len(lines))
	}
	return nil
}

// linesOf picks the lines of a sweep and, unless it is empty, a series.
func linesOf(lines []line, sweep, series string) []line {
	var own []line
	for _, l := range lines {
		if l.Sweep == sweep && (series == "" || l.Series == series) {
			own = append(own, l)
		}
	}
	return own
}

// A picture has these pixels. Of the resolutions that gonum's lengths can be
// had in, this one makes its default letters readable on a page.
const (
	pictureWidth, pictureHeight = 900, 500
	pictureDPI                  = 96
)

func pixels(n int) vg.Length { return vg.Length(n) * vg.Inch / pictureDPI }

// draw draws c's panels side by side.
func (c chart) draw(name string, lines []line) (err error) {
	row := make([]*plot.Plot, len(c.panels))
	for i, p := range c.panels {
		if row[i], err = p.plot(c, lines); err != nil {
			return err
		}
	}
	canvas := vgimg.NewWith(vgimg.UseWH(pixels(pictureWidth), pixels(pictureHeight)), vgimg.UseDPI(pictureDPI))
	margin := pixels(16)
	tiles := draw.Tiles{
		Rows: 1, Cols: len(row), PadX: pixels(28),
		PadTop: margin, PadBottom: margin, PadLeft: margin, PadRight: margin,
	}
	for i, p := range row {
		p.Draw(tiles.At(draw.New(canvas), i, 0))
	}
	file, err := os.Create(name) //nolint:gosec // in the folder that was asked for
	if err != nil {
		return err
	}
	_, err = vgimg.PngCanvas{Canvas: canvas}.WriteTo(file)
	return errors.Join(err, file.Close())
}
