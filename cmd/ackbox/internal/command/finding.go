package command

import (
	"fmt"
	"slices"
	"strings"
)

// level is how bad a finding is.
type level string

const (
	good level = "ok"
	// note is something to know, or what could not be checked.
	note level = "note"
	// warn is something that will become bad, or loses something in an accident.
	warn level = "warn"
	// bad is something because of which jobs are late or refused now.
	bad level = "bad"
)

// finding is something that was found, and what to do about it.
type finding struct {
	Level level  `json:"level"`
	About string `json:"about"`
	What  string `json:"what"`
	Do    string `json:"do,omitempty"`
}

// findings are gathered by examinations.
type findings []finding

func (f *findings) add(l level, about, do, format string, args ...any) {
	*f = append(*f, finding{l, about, fmt.Sprintf(format, args...), do})
}

// show prints findings as they came, and returns errUnwell if one is more than a note.
func (a *app) showFindings(list findings) error {
	if a.json {
		if err := a.printJSON(append(findings{}, list...)); err != nil {
			return err
		}
	} else {
		about := ""
		for _, f := range list {
			if f.About != about {
				about = f.About
				a.printf("%s\n", clean(about))
			}
			a.printf("  %-4s  %s\n", f.Level, clean(f.What))
			if f.Do != "" {
				for line := range strings.SplitSeq(f.Do, "\n") {
					a.printf("        → %s\n", clean(line))
				}
			}
		}
		a.printf("%s\n", tally(list))
	}
	if slices.ContainsFunc(list, func(f finding) bool { return f.Level == bad || f.Level == warn }) {
		return errUnwell
	}
	return nil
}

func tally(list findings) string {
	n := make(map[level]int)
	for _, f := range list {
		n[f.Level]++
	}
	if n[bad]+n[warn] == 0 {
		return fmt.Sprintf("all is well: %d checks, %d notes", n[good], n[note])
	}
	return fmt.Sprintf("%d bad, %d to watch, %d well, %d notes", n[bad], n[warn], n[good], n[note])
}
