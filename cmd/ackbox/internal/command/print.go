package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ackbox/ackbox/outbox"
)

// clean is s as a terminal may be given it: what controls one is spelled out.
func clean(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case hidden(r):
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

// hidden reports whether r is nothing that is seen: a control character, one that turns the
// direction of a line, another kind of space.
func hidden(r rune) bool { return !unicode.IsPrint(r) }

// short is the first line of s, of so many characters at most.
func short(s string, n int) string {
	s, rest, _ := strings.Cut(s, "\n")
	runes := []rune(s)
	if len(runes) > n {
		return clean(string(runes[:n-1])) + "…"
	}
	if rest != "" && len(runes) < n {
		return clean(s) + "…"
	}
	return clean(s)
}

// printTable prints rows under a head; where there are none, a note says so.
func (a *app) printTable(none string, head []string, rows [][]string) error {
	if len(rows) == 0 {
		a.note("%s", none)
		return nil
	}
	return writeTable(a.env.Out, head, rows)
}

func writeTable(out io.Writer, head []string, rows [][]string) error {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = clean(cell)
		}
		if _, err := fmt.Fprintln(w, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(out, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// printJSON prints v for a program. It has no HTML in it, so that < is <.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.env.Out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// jobCount is a number of jobs in words.
func jobCount(n int) string {
	if n == 1 {
		return "1 job"
	}
	return strconv.Itoa(n) + " jobs"
}

// count is a bounded number as people read it.
func count(c outbox.Count) string {
	if c.More {
		return strconv.Itoa(c.N) + "+"
	}
	return strconv.Itoa(c.N)
}

// ago is how long t is past, or ahead; - if it is not set.
func ago(now, t time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return "-"
	case d < 0:
		return "in " + span(-d)
	default:
		return span(d)
	}
}

// span is d in two units at most.
func span(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d < time.Millisecond:
		return "<1ms"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return strconv.Itoa(int(d.Hours()/24)) + "d"
}

func stamp(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
