package outbox

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
)

var numberedParam = regexp.MustCompile(`\$\d+`)

// Whatever a filter has in it is a parameter of the statement and no part of it, and
// each statement has as many as it is given.
func TestFilterIsNoPartOfAStatement(t *testing.T) {
	t.Parallel()
	const hostile = `{table} ? $1 '"; --`
	from := bookmark{At: 1, ID: NewID()}
	for _, d := range []*dialect{postgresDialect, sqliteDialect} {
		cfg := Config{}.withDefaults(d)
		text, ways := texts(d, cfg), newWays(d, texts(d, cfg))
		all := []*way{ways.all, ways.byKey, ways.running, ways.sentEvents}
		for _, w := range ways.byState {
			all = append(all, w)
		}
		for i := range 1 << 7 {
			f := Filter{}
			for bit, set := range []func(){
				func() { f.Kind = hostile }, func() { f.Queue = hostile }, func() { f.Key = hostile }, func() { f.Error = hostile },
				func() { f.State = ackbox.Cancelled }, func() { f.After = time.Unix(1, 0) }, func() { f.Before = time.Unix(1, 0) },
			} {
				if i&(1<<bit) != 0 {
					set()
				}
			}
			for _, w := range all {
				for what, q := range map[string]*query{
					"page": w.pageOf(d, f, from, "[]", 1), "first page": w.pageOf(d, f, bookmark{}, "[]", 1), "count": w.countOf(d, f, 1),
					"given up": givenUpOf(d, ways.byState[ackbox.Dead], f),
				} {
					got := text(q.text.String())
					params := strings.Count(got, "?")
					if d.numbered {
						params = len(numberedParam.FindAllString(got, -1))
					}
					if params != len(q.args) || strings.Contains(got, "--") || strings.ContainsAny(got, "{}") {
						t.Fatalf("%s, %s of %+v: %d parameters for %d: %s", d.name, what, f, len(q.args), params, got)
					}
				}
			}
		}
	}
}

// A list is taken no further than each queue was read, and ends where a page is full.
func TestTakeNoFurtherThanEachQueueWasRead(t *testing.T) {
	t.Parallel()
	rows := func(text string) (seen []glimpse) {
		count := make(map[string]int)
		for i, c := range text {
			queue := strings.ToLower(string(c))
			count[queue]++
			g := glimpse{queue: queue, id: fmt.Sprint(i), at: int64(i), match: queue == string(c), n: count[queue]}
			g.last = !strings.Contains(strings.ToLower(text[i+1:]), queue)
			if g.match || g.last {
				seen = append(seen, g)
			}
		}
		return seen
	}
	for _, tt := range []struct {
		seen        string // a letter is a row's queue, a small one matches
		each, limit int
		ids         string
		from        string
		more, full  bool
	}{
		{"", 3, 2, "", "", false, false},
		{"aba", 3, 5, "012", "2", false, false},
		{"abab", 2, 5, "012", "2", true, false}, // another a may come before the second b
		{"aaa", 3, 5, "012", "2", true, false},
		{"abc", 3, 2, "01", "1", true, true},
		{"abC", 3, 2, "01", "2", false, false},
		{"AAb", 3, 1, "2", "2", false, false},
		{"AAA", 3, 1, "", "2", true, false},
		{"Ab", 3, 0, "", "0", true, true},
		{"AB", 3, 0, "", "1", false, false},
	} {
		l := listing{limit: tt.limit}
		full := l.take(rows(tt.seen), tt.each)
		if got := strings.Join(l.ids, ""); got != tt.ids || l.from.ID != tt.from || l.more != tt.more || full != tt.full {
			t.Errorf("%q, %d of each, %d wanted: %q to %q, more %v, full %v", tt.seen, tt.each, tt.limit, got, l.from.ID, l.more, full)
		}
	}
}
