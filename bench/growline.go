package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// line is what -grow prints and -plot reads: one series at one point, over all
// rounds.
type line struct {
	Sweep  string  `json:"sweep"`
	Series string  `json:"series"`
	X      float64 `json:"x"`
	Unit   string  `json:"unit"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Rounds int     `json:"rounds"`
}

func writeLines(w io.Writer, lines []line) error {
	encoder := json.NewEncoder(w)
	for _, l := range lines {
		if err := encoder.Encode(l); err != nil {
			return fmt.Errorf("print a line: %w", err)
		}
	}
	return nil
}

// parseLines reads what writeLines has written. Empty lines do no harm; what
// cannot be drawn is an error that names its line.
func parseLines(r io.Reader) ([]line, error) {
	var lines []line
	scanner := bufio.NewScanner(r)
	for number := 1; scanner.Scan(); number++ {
		raw := bytes.TrimSpace(scanner.Bytes())
		if len(raw) == 0 {
			continue
		}
		var l line
		err := json.Unmarshal(raw, &l)
		if err == nil {
			err = l.check()
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		lines = append(lines, l)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read the lines: %w", err)
	}
	return lines, nil
}

// check refuses what would have no place on axes that begin at 0 or are
// logarithmic.
func (l line) check() error {
	switch {
	case l.Sweep == "" || l.Series == "":
		return errors.New("want an object of -grow, with sweep and series")
	case l.X <= 0:
		return fmt.Errorf("x is %g: want more than 0", l.X)
	case l.Min <= 0 || l.Median < l.Min || l.Max < l.Median:
		return fmt.Errorf("min, median, max are %g, %g, %g: want them in this order, more than 0", l.Min, l.Median, l.Max)
	}
	return nil
}
