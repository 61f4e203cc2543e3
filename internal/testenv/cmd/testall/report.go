//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is a line of `go test -json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build's output
	Test       string
	Output     string
	Elapsed    float64
}

// report turns events into a line per package, the output of what failed, and
// the totals.
type report struct {
	out                     io.Writer
	passed, failed, skipped int
	packages                map[string]*testedPackage
}

// testedPackage is a package whose tests are running.
type testedPackage struct {
	passed, failed int
	tests          map[string]*test
	order          []string // of tests, as they appeared; "" is the package itself
}

// test is a test that has not passed (yet) and what it printed.
type test struct {
	state  string
	output strings.Builder
}

func newReport(out io.Writer) *report {
	return &report{out: out, packages: make(map[string]*testedPackage)}
}

// read consumes the events of one run.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.line(line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the tests' output: %w", err)
		}
	}
}

func (r *report) line(line string) {
	var e event
	switch err := json.Unmarshal([]byte(line), &e); {
	case err != nil:
		r.print("%s", line) // the go command's own words
	case e.Action == "build-output":
		r.print("%s", e.Output)
	case e.Package == "":
	case e.Test == "":
		r.packageEvent(e)
	default:
		r.testEvent(e)
	}
}

func (r *report) testEvent(e event) {
	p := r.tested(e.Package)
	t := p.test(e.Test)
	switch e.Action {
	case "output":
		t.output.WriteString(e.Output)
	case "pass":
		r.passed++
		p.passed++
		delete(p.tests, e.Test) // nobody will read what it printed
	case "fail":
		t.state = "failed"
		r.failed++
		p.failed++
	case "skip":
		t.state = "skipped"
		r.skipped++
	}
}

func (r *report) packageEvent(e event) {
	p := r.tested(e.Package)
	switch e.Action {
	case "output":
		p.test("").output.WriteString(e.Output)
	case "pass":
		r.print("ok    %s  %.1fs  %d tests\n", e.Package, e.Elapsed, p.passed)
		r.details(p, false)
	case "skip":
		r.print("-     %s  no tests\n", e.Package)
	case "fail":
		r.print("FAIL  %s  %.1fs\n", e.Package, e.Elapsed)
		r.details(p, true)
		if p.failed == 0 {
			r.failed++ // it does not build, or failed outside its tests
		}
	default:
		return
	}
	if e.Action != "output" {
		delete(r.packages, e.Package)
	}
}

// details prints the tests that did not pass. In a failed package those are
// also the ones that were running when it ended.
func (r *report) details(p *testedPackage, failed bool) {
	for _, name := range p.order {
		t, ok := p.tests[name]
		if !ok {
			continue
		}
		if t.state == "" && name != "" {
			t.state = "unfinished"
			r.failed++
			p.failed++
		}
		if name == "" && !failed {
			continue
		}
		for line := range strings.Lines(t.output.String()) {
			if !noise(line) {
				r.print("      %s\n", strings.TrimRight(line, "\n"))
			}
		}
	}
}

// noise is what go test says about the course of things.
func noise(line string) bool {
	return slices.ContainsFunc([]string{"=== RUN", "=== PAUSE", "=== CONT", "=== NAME", "PASS\n"}, func(s string) bool {
		return strings.HasPrefix(line, s)
	})
}

// finish prints the totals and returns what is wrong with the run, if anything.
func (r *report) finish(err error) error {
	r.print("\ntests: %d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	switch {
	case err != nil:
		return err
	case r.failed > 0:
		return fmt.Errorf("%d tests failed", r.failed)
	case r.skipped > 0:
		return errors.New("a skipped test is not a passed one: make it run, or remove it")
	case r.passed == 0:
		return errors.New("no test was run")
	}
	return nil
}

func (r *report) print(format string, args ...any) {
	// Output that cannot be written does not change the outcome.
	_, _ = fmt.Fprintf(r.out, format, args...)
}

func (r *report) tested(name string) *testedPackage {
	p := r.packages[name]
	if p == nil {
		p = &testedPackage{tests: make(map[string]*test)}
		r.packages[name] = p
	}
	return p
}

func (p *testedPackage) test(name string) *test {
	t := p.tests[name]
	if t == nil {
		t = &test{}
		p.tests[name] = t
		p.order = append(p.order, name)
	}
	return t
}
