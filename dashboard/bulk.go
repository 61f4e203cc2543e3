package dashboard

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ackbox/ackbox/outbox"
)

// confirmAbove is how many jobs are changed at once without their number being typed.
const confirmAbove = 1000

// bulkPage says what would be done to all that match, before it is done.
type bulkPage struct {
	Action string `json:"action"`
	State  string `json:"state"`
	Search string `json:"search"`
	// What is the filter in words.
	What string `json:"what"`
	// N jobs match, or more than that.
	N       int       `json:"n"`
	AtLeast bool      `json:"at_least,omitempty"`
	Samples []jobLine `json:"samples"`
	// All says that no filter is set, and that this is meant.
	All bool `json:"all,omitempty"`
	// Confirm says that the number must be typed.
	Confirm bool `json:"confirm"`
	// Wrong is why it was not begun, if it was tried.
	Wrong   string `json:"wrong,omitempty"`
	Allowed bool   `json:"allowed"`
	Reason  string `json:"-"`
}

// Verb is the action on a button.
func (b bulkPage) Verb() string { return strings.ToUpper(b.Action[:1]) + b.Action[1:] }

// bulkActions are those that can be done to all that match, by the state in which they can.
var bulkActions = map[outbox.Action]string{
	outbox.ActionRequeue: "dead and cancelled jobs",
	outbox.ActionCancel:  "jobs that wait to be sent",
	outbox.ActionRunNow:  "jobs that wait for their time, a retry or the broker",
	outbox.ActionDelete:  "finished jobs",
}

// Whom says which jobs the action can be done to.
func (b bulkPage) Whom() string { return bulkActions[outbox.Action(b.Action)] }

// rehearse is the dry run: it counts, shows some, and changes nothing.
func (d *Dashboard) rehearse(w http.ResponseWriter, r *request) error {
	q := r.URL.Query()
	page, _, err := d.bulk(r, q.Get("action"), q.Get("state"), q.Get("q"), q.Get("all") != "")
	if err != nil {
		return err
	}
	d.page(w, r, http.StatusOK, "bulk", page)
	return nil
}

func (d *Dashboard) bulk(r *request, act, state, text string, all bool) (bulkPage, outbox.Filter, error) {
	action := outbox.Action(act)
	whom, ok := bulkActions[action]
	if !ok {
		return bulkPage{}, outbox.Filter{}, badRequestError(fmt.Sprintf("%q cannot be done to all that match a search: want requeue, cancel, run now or delete.", cut(act, 40)))
	}
	s, err := parseSearch(state, text, r.now)
	switch {
	case err != nil:
		return bulkPage{}, outbox.Filter{}, err
	case s.ID != "":
		return bulkPage{}, outbox.Filter{}, badRequestError("That is one job: act on its own page.")
	case s.Filter == outbox.Filter{} && !all:
		return bulkPage{}, outbox.Filter{}, badRequestError("That would " + act + " all " + whom + ": choose a state or search for those that are meant, or say all=yes in the address.")
	}
	if (s.Filter == outbox.Filter{}) {
		s.Filter.All = true
	}
	rehearsal, err := d.ledger.Rehearse(r.Context(), action, s.Filter)
	if err != nil {
		return bulkPage{}, outbox.Filter{}, fmt.Errorf("rehearse: %w", err)
	}
	needed := needs(action)
	// A time that was said as "3h ago" is from here on that moment.
	return bulkPage{
		Action: act, State: state, Search: asText(s.Filter), What: visible(inWords(s.Filter)), All: s.Filter.All,
		N: rehearsal.Count.N, AtLeast: rehearsal.Count.More, Samples: d.lines(rehearsal.Samples),
		Confirm: rehearsal.Count.N > confirmAbove || rehearsal.Count.More, Allowed: r.viewer.allows(needed),
	}, s.Filter, nil
}

// start begins what was rehearsed. It counts once more: what has grown a lot since is shown
// again instead.
func (d *Dashboard) start(w http.ResponseWriter, r *request) error {
	reason, err := formText(r, "reason", false)
	if err != nil {
		return err
	}
	page, filter, err := d.bulk(r, r.PostFormValue("action"), r.PostFormValue("state"), r.PostFormValue("q"), r.PostFormValue("all") != "")
	if err != nil {
		return err
	}
	if !page.Allowed {
		needed := needs(outbox.Action(page.Action))
		d.page(w, r, http.StatusForbidden, "error", problem{http.StatusForbidden, http.StatusText(http.StatusForbidden), whyNot(r.viewer, needed)})
		return nil
	}
	page.Reason = reason
	if page.Wrong = unconfirmed(page, r.PostFormValue("expected"), r.PostFormValue("confirm")); page.Wrong != "" {
		d.page(w, r, http.StatusConflict, "bulk", page)
		return nil
	}
	op, err := d.ledger.StartOperation(r.Context(), outbox.Action(page.Action), filter, reason)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	d.cfg.Logger.LogAttrs(r.Context(), slog.LevelInfo, "dashboard: operation started",
		slog.String("operation", op.ID), slog.String("action", page.Action), slog.String("by", r.viewer.Name))
	if wantsJSON(r) {
		return writeJSON(w, http.StatusAccepted, operationOf(op))
	}
	return redirect(w, r, "operations/"+op.ID)
}

// unconfirmed says why page must be looked at before it is begun; empty if it may begin.
// A program that says neither number begins what is small.
func unconfirmed(page bulkPage, expected, confirm string) string {
	typed, err := strconv.Atoi(strings.NewReplacer(",", "", " ", "", "+", "").Replace(confirm))
	shown, err2 := strconv.Atoi(expected)
	switch {
	case page.N == 0:
		return "Nothing matches any more."
	case err2 == nil && page.N > shown+shown/10+10:
		return fmt.Sprintf("There were %s when you looked; now there are more. Look again.", number(shown))
	case page.Confirm && (err != nil || err2 != nil || typed != shown):
		return "To begin, type how many jobs that is."
	}
	return ""
}

// steer stops an operation, or has it go on, for who might have begun it.
func (d *Dashboard) steer(deed string, do func(ctx context.Context, id string) error) action {
	return func(w http.ResponseWriter, r *request) error {
		id := r.PathValue("id")
		op, err := d.ledger.Operation(r.Context(), id)
		if err != nil {
			return fmt.Errorf("%s: %w", deed, err)
		}
		needed := needs(op.Action)
		if !r.viewer.allows(needed) {
			d.page(w, r, http.StatusForbidden, "error", problem{http.StatusForbidden, http.StatusText(http.StatusForbidden), whyNot(r.viewer, needed)})
			return nil
		}
		return d.did(w, r, deed, changed{1, 1}, do(r.Context(), id))
	}
}

// operationsPage is what people did.
type operationsPage struct {
	Operations []operationLine `json:"operations"`
	Next       string          `json:"next,omitempty"`
}

func (d *Dashboard) operations(w http.ResponseWriter, r *request) error {
	list, next, err := d.ledger.Operations(r.Context(), r.URL.Query().Get("after"), pageSize)
	if err != nil {
		return fmt.Errorf("operations: %w", err)
	}
	page := operationsPage{Next: next, Operations: make([]operationLine, 0, len(list))}
	for _, o := range list {
		page.Operations = append(page.Operations, operationOf(o))
	}
	d.page(w, r, http.StatusOK, "operations", page)
	return nil
}

// operationPage is one of them, and how fast it goes.
type operationPage struct {
	operationLine
	Took time.Duration `json:"took"`
}

func (d *Dashboard) operation(w http.ResponseWriter, r *request) error {
	op, err := d.ledger.Operation(r.Context(), r.PathValue("id"))
	if err != nil {
		return fmt.Errorf("operation: %w", err)
	}
	page := operationPage{operationLine: operationOf(op), Took: r.now.Sub(op.CreatedAt)}
	if op.FinishedAt != nil {
		page.Took = op.FinishedAt.Sub(op.CreatedAt)
	}
	d.page(w, r, http.StatusOK, "operation", page)
	return nil
}
