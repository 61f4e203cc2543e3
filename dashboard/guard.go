package dashboard

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/ackbox/ackbox/outbox"
)

const (
	// patience bounds a page: all its statements and looks at the broker.
	patience = 10 * time.Second
	// maxForm bounds what a browser may send: a thousand ids are 40 KB.
	maxForm = 256 << 10
)

// request is what a page is asked, by somebody who may.
type request struct {
	*http.Request
	viewer Viewer
	now    time.Time
}

// action answers a request, or returns why it could not, having written nothing.
type action func(http.ResponseWriter, *request) error

var (
	errNoPage   = errors.New("there is no such page")
	errPostOnly = errors.New("this address only takes POST")
	errNotAsked = errors.New("dashboard: Config.Authorize is not set")
)

func onlyPost(w http.ResponseWriter, _ *request) error {
	w.Header().Set("Allow", http.MethodPost)
	return errPostOnly
}

// guarded lets through to do who may do what needs names.
func (d *Dashboard) guarded(needs Permission, do action) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := d.cross.Check(r); err != nil {
			d.refuse(w, r, http.StatusForbidden, crossOrigin, err)
			return
		}
		viewer, err := d.authorize(r)
		switch {
		case errors.Is(err, errSignIn):
			w.Header().Set("WWW-Authenticate", `Basic realm="ackbox", charset="UTF-8"`)
			d.refuse(w, r, http.StatusUnauthorized, "Name and password are needed.", nil)
			return
		case errors.Is(err, errNotAsked):
			d.refuse(w, r, http.StatusForbidden, closed, err)
			return
		case err != nil:
			d.refuse(w, r, http.StatusForbidden, "This application does not let you see its jobs.", err)
			return
		case !viewer.allows(needs):
			d.refuse(w, r, http.StatusForbidden, whyNot(viewer, needs), nil)
			return
		}
		ctx, cancel := context.WithTimeout(outbox.By(r.Context(), viewer.Name), patience)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		d.answer(w, &request{r, viewer, time.Now()}, do)
	})
}

func (d *Dashboard) authorize(r *http.Request) (Viewer, error) {
	if d.cfg.Authorize == nil {
		return Viewer{}, errNotAsked
	}
	return d.cfg.Authorize(r)
}

func (d *Dashboard) answer(w http.ResponseWriter, r *request, do action) {
	err := do(w, r)
	if err == nil {
		return
	}
	status, text := explain(err)
	if status >= http.StatusInternalServerError {
		d.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "dashboard: page could not be made",
			slog.String("path", r.URL.Path), slog.Any("error", err))
	}
	d.page(w, r, status, "error", problem{Status: status, Title: http.StatusText(status), Text: text})
}

// refuse answers who may not, or what is not there, before anybody is known.
func (d *Dashboard) refuse(w http.ResponseWriter, r *http.Request, status int, text string, why error) {
	if why != nil && !errors.Is(why, errNotAsked) {
		d.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "dashboard: request refused",
			slog.String("path", r.URL.Path), slog.String("from", r.RemoteAddr), slog.Any("error", why))
	}
	d.page(w, &request{r, Viewer{}, time.Now()}, status, "error",
		problem{Status: status, Title: http.StatusText(status), Text: text})
}

const (
	crossOrigin = "This came from another site, and was refused: a page of somebody else must not act here in your name. " +
		"If it was this page, the proxy before it changes the Host header: let it pass that on."
	closed = "Nobody may see this page until the application says who may: " +
		"set dashboard.Config.Authorize, to a function of its own or to what dashboard.BasicAuth returns."
)

func whyNot(v Viewer, needs Permission) string {
	if v.Name == "" && v.Can&needs == needs {
		return "What is done here is recorded with a name, and the application's Authorize has not said yours."
	}
	return "That needs the permission to " + needs.String() + ". You may " + v.Can.String() + "."
}

// explain says in words, and as a status, why a page could not be made.
func explain(err error) (status int, text string) {
	var bad badRequestError
	var broker brokerError
	switch {
	case errors.Is(err, errNoPage):
		return http.StatusNotFound, "There is no such page."
	case errors.Is(err, errPostOnly):
		return http.StatusMethodNotAllowed, "This address changes something, so it takes POST alone."
	case errors.As(err, &bad):
		return http.StatusBadRequest, string(bad)
	case errors.As(err, &broker):
		return http.StatusServiceUnavailable, "The broker could not do that: " + broker.Error()
	case errors.Is(err, outbox.ErrPlace):
		return http.StatusBadRequest, "The list cannot go on from there: begin with its first page."
	case errors.Is(err, outbox.ErrNotFound):
		return http.StatusNotFound, "It is not in the ledger: never written, deleted, or purged after its retention."
	case errors.Is(err, outbox.ErrNotMigrated):
		return http.StatusServiceUnavailable, "The ledger's tables, or a part of them, are not there: run store.Migrate, or ackbox migrate up. " + err.Error()
	case errors.Is(err, outbox.ErrSlow), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, "That takes the database too long. Narrow the search by queue, kind or key."
	}
	return http.StatusServiceUnavailable, "That did not work: " + err.Error()
}

// badRequestError is what was asked wrongly, in a sentence.
type badRequestError string

// Error implements error.
func (b badRequestError) Error() string { return string(b) }
