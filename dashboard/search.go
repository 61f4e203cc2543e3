package dashboard

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// maxSearch bounds what is read of a search box.
const maxSearch = 1000

// states are the tabs of the list, and what a filter's state may be.
var states = []string{"", "pending", "running", "sent", "nacked", "refused", "dead", "done", "cancelled"}

// search is what somebody looks for.
type search struct {
	State string
	// Text is the search box as it was filled in.
	Text   string
	Filter outbox.Filter
	// ID is set where a job's id stands there, alone.
	ID string
}

// parseSearch reads a state and a search box. What it cannot read is an error in a sentence.
func parseSearch(state, text string, now time.Time) (search, error) {
	s := search{State: state, Text: text}
	switch {
	case state == "running":
		s.Filter.Running = true
	case state != "":
		if !ackbox.State(state).Valid() {
			return s, badRequestError(fmt.Sprintf("There is no state %q.", cut(state, 40)))
		}
		s.Filter.State = ackbox.State(state)
	}
	if len(text) > maxSearch || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return s, badRequestError(fmt.Sprintf("The search is longer than %d bytes, or is no text.", maxSearch))
	}
	tokens, err := tokenize(text)
	if err != nil {
		return s, err
	}
	if len(tokens) == 1 && uuid.Validate(tokens[0]) == nil {
		s.ID = tokens[0]
		return s, nil
	}
	for _, token := range tokens {
		if err := s.take(token, now); err != nil {
			return s, err
		}
	}
	return s, nil
}

// take adds one token to the filter.
func (s *search) take(token string, now time.Time) error {
	name, value, found := strings.Cut(token, ":")
	field := map[string]*string{
		"key": &s.Filter.Key, "kind": &s.Filter.Kind, "queue": &s.Filter.Queue, "error": &s.Filter.Error,
	}[name]
	bound := map[string]*time.Time{"before": &s.Filter.Before, "after": &s.Filter.After}[name]
	switch {
	case !found || field == nil && bound == nil:
		return badRequestError(fmt.Sprintf("Where is %q to be found? Say key:%s, kind:%s, queue:%s or error:%s; "+
			"or bound the time with before: and after:. A job's id stands alone.",
			cut(token, 60), cut(quoted(token), 60), cut(quoted(token), 60), cut(quoted(token), 60), cut(quoted(token), 60)))
	case value == "":
		return badRequestError(fmt.Sprintf("After %s: something must follow.", name))
	case field != nil && *field != "" || bound != nil && !bound.IsZero():
		return badRequestError(fmt.Sprintf("%s: may stand there once.", name))
	case field != nil:
		*field = value
		return nil
	}
	t, err := parseTime(value, now)
	if err != nil || t.Year() < 1900 || t.Year() > 9999 {
		return badRequestError(fmt.Sprintf("%s:%s is no time: write 2006-01-02, 2006-01-02T15:04 (UTC), or how long ago: 90m, 3h, 2d.",
			name, cut(value, 40)))
	}
	*bound = t
	return nil
}

// tokenize splits at spaces outside of quotes. A quote may begin after the colon:
// error:"no such \"host\"".
func tokenize(text string) ([]string, error) {
	var tokens []string
	var token strings.Builder
	open, escaped, some := false, false, false
	for _, r := range text {
		switch {
		case escaped:
			token.WriteRune(r)
			escaped = false
		case open && r == '\\':
			escaped = true
		case r == '"':
			open, some = !open, true
		case !open && (r == ' ' || r == '\t' || r == '\n' || r == '\r'):
			if some {
				tokens = append(tokens, token.String())
			}
			token.Reset()
			some = false
		default:
			token.WriteRune(r)
			some = true
		}
	}
	if open {
		return nil, badRequestError(`A quote is not closed: error:"like this".`)
	}
	if some {
		tokens = append(tokens, token.String())
	}
	return tokens, nil
}

// parseTime reads a time, or how long ago it was.
func parseTime(s string, now time.Time) (time.Time, error) {
	if n := len(s) - 1; n > 0 && strings.ContainsRune("smhd", rune(s[n])) {
		unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[s[n]]
		if many, err := strconv.ParseUint(s[:n], 10, 20); err == nil {
			return now.Add(-time.Duration(many) * unit).UTC(), nil
		}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("no time: %q", s)
}

// inWords says what f selects.
func inWords(f outbox.Filter) string {
	what := "every job"
	switch {
	case f.Running:
		what = "every running job"
	case f.State != "":
		what = "every " + string(f.State) + " job"
	}
	for _, part := range []struct{ is, value string }{
		{" of the kind ", f.Kind}, {" in the queue ", f.Queue}, {" with the key ", f.Key}, {" whose error contains ", f.Error},
	} {
		if part.value != "" {
			what += part.is + "“" + part.value + "”"
		}
	}
	if !f.After.IsZero() {
		what += ", from " + stamp(f.After) + " on"
	}
	if !f.Before.IsZero() {
		what += ", before " + stamp(f.Before)
	}
	return what
}

// asText writes f as a search box takes it; the state stands beside it.
func asText(f outbox.Filter) string {
	var parts []string
	for _, part := range []struct{ name, value string }{
		{"key", f.Key}, {"kind", f.Kind}, {"queue", f.Queue}, {"error", f.Error},
	} {
		if part.value != "" {
			parts = append(parts, part.name+":"+quoted(part.value))
		}
	}
	if !f.After.IsZero() {
		parts = append(parts, "after:"+machine(f.After))
	}
	if !f.Before.IsZero() {
		parts = append(parts, "before:"+machine(f.Before))
	}
	return strings.Join(parts, " ")
}
