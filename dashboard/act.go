package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/ackbox/ackbox/outbox"
)

// maxIDs is how many jobs one form may name; what is more is for a filter.
const maxIDs = 1000

// write is an address that changes something, and the permission that it needs.
type write struct {
	needs Permission
	do    action
}

func (d *Dashboard) writes() map[string]write {
	return map[string]write{
		"/requeue":                  {Requeue, d.change("requeue", d.ledger.Requeue)},
		"/run-now":                  {Requeue, d.change("run-now", d.ledger.RunNow)},
		"/reschedule":               {Requeue, d.reschedule},
		"/cancel":                   {Cancel, d.change("cancel", d.ledger.Cancel)},
		"/delete":                   {Delete, d.change("delete", d.ledger.Delete)},
		"/pause":                    {Pause, d.pause},
		"/resume":                   {Pause, d.resume},
		"/bulk":                     {Read, d.start},                                 // its action says what else it needs
		"/operations/{id}/stop":     {Read, d.steer("stop", d.ledger.StopOperation)}, // likewise
		"/operations/{id}/continue": {Read, d.steer("continue", d.ledger.ContinueOperation)},
		"/dead/requeue":             {Requeue, d.changeDead("dead-requeue", d.requeueDead)},
		"/dead/delete":              {Delete, d.changeDead("dead-delete", d.deleteDead)},
		"/theme":                    {Read, d.theme},
	}
}

// changed is the answer to who asks in JSON.
type changed struct {
	Asked   int `json:"asked"`
	Changed int `json:"changed"`
}

// change does something to the jobs that the form names.
func (d *Dashboard) change(deed string, do func(ctx context.Context, ids ...string) (int, error)) action {
	return func(w http.ResponseWriter, r *request) error {
		ids, err := formIDs(r)
		if err != nil {
			return err
		}
		n, err := do(r.Context(), ids...)
		return d.did(w, r, deed, changed{len(ids), n}, err)
	}
}

func (d *Dashboard) reschedule(w http.ResponseWriter, r *request) error {
	ids, err := formIDs(r)
	if err != nil {
		return err
	}
	at, err := parseTime(r.PostFormValue("at"), r.now)
	if err != nil {
		return badRequestError("When? Write a time in UTC: 2006-01-02T15:04.")
	}
	n, err := d.ledger.Reschedule(r.Context(), at, ids...)
	return d.did(w, r, "reschedule", changed{len(ids), n}, err)
}

func (d *Dashboard) pause(w http.ResponseWriter, r *request) error {
	queue, err := formText(r, "queue", true)
	if err != nil {
		return err
	}
	reason, err := formText(r, "reason", false)
	if err != nil {
		return err
	}
	return d.did(w, r, "pause", changed{1, 1}, d.ledger.Pause(r.Context(), queue, reason))
}

func (d *Dashboard) resume(w http.ResponseWriter, r *request) error {
	queue, err := formText(r, "queue", true)
	if err != nil {
		return err
	}
	return d.did(w, r, "resume", changed{1, 1}, d.ledger.Resume(r.Context(), queue))
}

// theme keeps in a cookie of this path whether the page is light or dark.
func (d *Dashboard) theme(w http.ResponseWriter, r *request) error {
	c := &http.Cookie{ //nolint:gosec // no secret: a colour
		Name: themeCookie, Value: r.PostFormValue("theme"), MaxAge: 365 * 24 * 3600,
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if c.Value != "light" && c.Value != "dark" {
		c.Value, c.MaxAge = "", -1
	}
	http.SetCookie(w, c)
	return d.goBack(w, r, nil)
}

// did tells what a write has done, on the page it came from or in JSON. n of an error is
// what was done before it.
func (d *Dashboard) did(w http.ResponseWriter, r *request, deed string, n changed, err error) error {
	d.cfg.Logger.LogAttrs(r.Context(), slog.LevelInfo, "dashboard: changed",
		slog.String("what", deed), slog.String("by", r.viewer.Name), slog.Int("asked", n.Asked),
		slog.Int("changed", n.Changed), slog.Bool("failed", err != nil))
	if err != nil {
		return fmt.Errorf("%s: %w", deed, err)
	}
	if wantsJSON(r) {
		return writeJSON(w, http.StatusOK, n)
	}
	return d.goBack(w, r, url.Values{didParam: {deed}, gotParam: {strconv.Itoa(n.Changed)}, ofParam: {strconv.Itoa(n.Asked)}})
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // who has gone away needs no answer
	return nil
}

// goBack sends the browser to the page that the form stood on, with told in its address.
func (d *Dashboard) goBack(w http.ResponseWriter, r *request, told url.Values) error {
	back := backTo(r.PostFormValue("back"))
	q := withoutTold(back.Query())
	for name, values := range told {
		q[name] = values
	}
	back.RawQuery = q.Encode()
	return redirect(w, r, back.String())
}

// redirect sends the browser to a page, named from the dashboard's root on.
func redirect(w http.ResponseWriter, r *request, to string) error {
	// Relative to the address that was asked, whose prefix is not known here.
	w.Header().Set("Location", root(strings.TrimPrefix(r.URL.Path, "/"))+to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// backTo is where a form wants to come back to: a page of ours, whatever it says.
func backTo(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" ||
		strings.HasPrefix(u.Path, "/") || u.Path != "" && path.Clean(u.Path) != u.Path || strings.HasPrefix(u.Path, "..") ||
		strings.ContainsAny(u.Path, "\\:") {
		return &url.URL{}
	}
	return &url.URL{Path: u.Path, RawQuery: u.RawQuery}
}

func formIDs(r *request) ([]string, error) {
	if err := parseForm(r); err != nil {
		return nil, err
	}
	ids := r.PostForm["id"]
	switch {
	case len(ids) == 0:
		return nil, badRequestError("No job was chosen: tick those that are meant.")
	case len(ids) > maxIDs:
		return nil, badRequestError(fmt.Sprintf("At most %d jobs can be named at once: search for them, and act on all that match.", maxIDs))
	}
	for _, id := range ids {
		if uuid.Validate(id) != nil {
			return nil, badRequestError(fmt.Sprintf("%q is no job's id.", cut(id, 60)))
		}
	}
	return ids, nil
}

// maxText bounds a reason, or a name.
const maxText = 500

func formText(r *request, name string, needed bool) (string, error) {
	if err := parseForm(r); err != nil {
		return "", err
	}
	s := strings.TrimSpace(r.PostFormValue(name))
	switch {
	case s == "" && needed:
		return "", badRequestError("The form has no " + name + ".")
	case len(s) > maxText || visible(s) != s:
		return "", badRequestError(fmt.Sprintf("%s: want up to %d bytes of text.", name, maxText))
	}
	return s, nil
}

func parseForm(r *request) error {
	err := r.ParseForm()
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return badRequestError("The form is too large.")
	case err != nil:
		return badRequestError("The form cannot be read.")
	}
	return nil
}

// needs is the permission that an action over a filter takes.
func needs(a outbox.Action) Permission {
	switch a {
	case outbox.ActionRequeue, outbox.ActionRunNow, outbox.ActionReschedule:
		return Requeue
	case outbox.ActionCancel:
		return Cancel
	case outbox.ActionDelete:
		return Delete
	case outbox.ActionPause, outbox.ActionResume:
		return Pause
	default:
		return Everything // of what nobody here knows
	}
}
