package dashboard

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// told says what has just been done. It travels in the address, since nothing is kept
// here: words of ours and numbers, so that a forged one says nothing foreign.
type told struct {
	Text string
	// Bad is set where less was done than asked for.
	Bad bool
}

const (
	didParam = "did"
	gotParam = "changed"
	ofParam  = "of"
)

// deeds are the words of what can have been done, by the action's name in the address.
var deeds = map[string]struct{ done, why string }{
	"requeue":      {"requeued", "the others are neither dead nor cancelled any more"},
	"cancel":       {"cancelled", "the others do not wait any more: what was sent cannot be withdrawn"},
	"run-now":      {"made due now", "the others do not wait any more"},
	"reschedule":   {"put to another time", "the others do not wait any more"},
	"delete":       {"deleted", "the others are not finished, or gone already"},
	"dead-requeue": {"moved back to the queue", "the others were no longer there"},
	"dead-delete":  {"deleted from the dead queue", "the others were no longer there"},
	"pause":        {"Paused. Workers stop taking jobs within seconds; what runs may end.", ""},
	"resume":       {"Resumed. Workers take jobs again within seconds.", ""},
	"continue":     {"It goes on from where it was.", ""},
	"stop":         {"Stopped. The step that was being done may still end.", ""},
}

// toldBy reads what the address says was done.
func toldBy(r *http.Request) told {
	q := r.URL.Query()
	deed, ok := deeds[q.Get(didParam)]
	one, many := "job", "jobs"
	if strings.HasPrefix(q.Get(didParam), "dead-") {
		one, many = "message", "messages"
	}
	if !ok {
		return told{}
	}
	if deed.why == "" {
		return told{Text: deed.done}
	}
	n, err := strconv.ParseInt(q.Get(gotParam), 10, 32)
	of, err2 := strconv.ParseInt(q.Get(ofParam), 10, 32)
	switch {
	case err != nil || err2 != nil || n < 0 || of < n:
		return told{}
	case n == of:
		return told{Text: plural(n, one, many) + " " + deed.done + "."}
	case of == 1:
		return told{Text: "Nothing was " + deed.done + ": it is no longer as it was when this page was made.", Bad: true}
	}
	return told{Text: number(n) + " of " + plural(of, one, many) + " " + deed.done + "; " + deed.why + ".", Bad: true}
}

// withoutTold takes what was done out of an address, so that it is said once.
func withoutTold(q url.Values) url.Values {
	q.Del(didParam)
	q.Del(gotParam)
	q.Del(ofParam)
	return q
}
