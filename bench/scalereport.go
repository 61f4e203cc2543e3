package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// measurement is one line of what -scale prints.
type measurement struct {
	step, name string
	values     []value // in the order of the table's columns
	plan       string  // of a statement, if that is what was measured
}

// value is a named figure; its name has the unit.
type value struct {
	name string
	v    float64
}

// object is m as JSON has it: the values are members.
func (m measurement) object() map[string]any {
	object := map[string]any{"step": m.step, "name": m.name}
	for _, v := range m.values {
		object[v.name] = finite(v.v)
	}
	if m.plan != "" {
		object["plan"] = m.plan
	}
	return object
}

// scaleReport prints measurements as they come, and again as tables.
type scaleReport struct {
	out  io.Writer
	all  []measurement
	line *json.Encoder
}

func newScaleReport(out io.Writer) *scaleReport {
	r := &scaleReport{out: out, line: json.NewEncoder(out)}
	r.line.SetEscapeHTML(false)
	return r
}

func (r *scaleReport) add(m measurement) error {
	r.all = append(r.all, m)
	if err := r.line.Encode(m.object()); err != nil {
		return fmt.Errorf("print a measurement: %w", err)
	}
	return nil
}

// writeTables prints a table for each step and set of columns.
func (r *scaleReport) writeTables() error {
	left := slices.Clone(r.all)
	for len(left) > 0 {
		head := left[0].columns()
		same := func(m measurement) bool { return m.columns() == head }
		var rows []measurement
		for _, m := range left {
			if same(m) {
				rows = append(rows, m)
			}
		}
		left = slices.DeleteFunc(left, same)
		if err := writeMeasurements(r.out, rows); err != nil {
			return err
		}
	}
	return nil
}

// columns names the table that m is a row of.
func (m measurement) columns() string {
	names := []string{m.step}
	for _, v := range m.values {
		names = append(names, v.name)
	}
	return strings.Join(names, "\t")
}

func writeMeasurements(w io.Writer, rows []measurement) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format, args...) } // Flush has the error
	line("\n%s\t\n", rows[0].columns())
	for _, m := range rows {
		line("%s\t", m.name)
		for _, v := range m.values {
			line("%s\t", digits(v.v))
		}
		line("\n")
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print a table: %w", err)
	}
	return nil
}
