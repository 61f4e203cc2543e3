package dashboard

import (
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ackbox/ackbox/outbox"
)

// words are the functions of the templates.
var words = template.FuncMap{
	"num":       number[int],
	"num64":     number[int64],
	"count":     count,
	"ago":       ago,
	"until":     until,
	"held":      held,
	"span":      span,
	"stamp":     stamp,
	"machine":   machine,
	"clock":     clock,
	"firstLine": firstLine,
	"short":     short,
	"more":      func(n int, one, many string) string { return plural(int64(n), one, many) },
	"label":     label,
	"dict":      dict,
	"within":    func(list, word string) bool { return slices.Contains(strings.Fields(list), word) },
	"q":         quoted,
}

// number writes n with thin groups: 12,345.
func number[N int | int64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	sign := ""
	if n < 0 {
		sign, s = "−", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

func count(c outbox.Count) string {
	if c.More {
		return number(c.N) + "+"
	}
	return number(c.N)
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// span writes how long something is, in its two largest units.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "−" + span(-d)
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10) + " µs"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Minute:
		return strconv.FormatInt(int64(d.Seconds()), 10) + " s"
	case d < time.Hour:
		return two(d, time.Minute, "min", time.Second, "s")
	case d < 24*time.Hour:
		return two(d, time.Hour, "h", time.Minute, "min")
	}
	return two(d, 24*time.Hour, "d", time.Hour, "h")
}

func two(d, big time.Duration, bigName string, small time.Duration, smallName string) string {
	s := strconv.FormatInt(int64(d/big), 10) + " " + bigName
	if rest := d % big / small; rest > 0 && d/big < 10 {
		s += " " + strconv.FormatInt(int64(rest), 10) + " " + smallName
	}
	return s
}

// ago writes how long before now t was, in one unit: a list is skimmed.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "never"
	case d < -2*time.Second:
		return until(now, t)
	case d < 2*time.Second:
		return "now"
	}
	return roughly(d) + " ago"
}

// held is for how long something has been so.
func held(now, t time.Time) string { return roughly(max(now.Sub(t), 0)) }

func until(now, t time.Time) string {
	d := t.Sub(now)
	if d <= 0 {
		return "now"
	}
	return "in " + roughly(d)
}

func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + " d"
}

// stamp is a time in full; there is one zone on this page.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000 UTC") }

func clock(t time.Time) string { return t.UTC().Format("15:04:05") }

func machine(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// firstLine is the part of a text that stands in a list.
func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return cut(s, 240)
}

// cut shortens s to n bytes, between two characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// short is the part of an id by which people tell two apart: the end, for a UUIDv7 begins
// with the time.
func short(id string) string {
	if len(id) <= 8 {
		return id
	}
	return "…" + id[len(id)-8:]
}

func label(state string) string { return strings.ReplaceAll(state, "_", " ") }

// visible shows what a terminal or a browser would obey or hide instead of showing:
// control characters, and those that turn the direction of text.
func visible(s string) string {
	bad := func(r rune) bool {
		return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) || r == utf8.RuneError
	}
	if !strings.ContainsFunc(s, bad) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if bad(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// dict gives a part of a page several values.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: a name without a value")
	}
	m := make(map[string]any)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// quoted writes s as a token of the search box takes it.
func quoted(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\n\"\\") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
