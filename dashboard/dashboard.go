package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
)

// Dashboard is an http.Handler that shows a ledger's jobs and lets those who may change
// them. It is safe for concurrent use, keeps nothing between requests, and starts nothing
// in the background.
type Dashboard struct {
	ledger Ledger
	cfg    Config
	pages  pageSet
	mux    *http.ServeMux
	cross  *http.CrossOriginProtection
}

// New returns a Dashboard of ledger, as a rule an *outbox.Store. It reads nothing yet. All its links are
// relative, so it may be served under any path that ends with a slash:
//
//	mux.Handle("/ops/jobs/", http.StripPrefix("/ops/jobs", board))
//
// The error names every field of cfg that is wrong.
func New(ledger Ledger, cfg Config) (*Dashboard, error) {
	cfg = cfg.withDefaults()
	err := cfg.validate()
	if ledger == nil || isNil(ledger) {
		err = errors.Join(errors.New("dashboard: the ledger is nil: pass an *outbox.Store"), err)
	}
	if err != nil {
		return nil, err
	}
	pages, err := parsePages()
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	d := &Dashboard{ledger: ledger, cfg: cfg, pages: pages, cross: http.NewCrossOriginProtection()}
	d.mux = d.routes()
	return d, nil
}

// ServeHTTP implements http.Handler.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// StripPrefix may leave a path with or without its slash. ServeMux would redirect
	// what is not clean to a path without our prefix.
	at := "/" + strings.TrimPrefix(r.URL.Path, "/")
	secure(w.Header())
	if path.Clean(at) != at {
		d.refuse(w, r, http.StatusNotFound, "There is no such page.", nil)
		return
	}
	inner := *r.URL
	inner.Path, inner.RawPath = at, ""
	r2 := new(http.Request)
	*r2 = *r
	r2.URL = &inner
	d.mux.ServeHTTP(w, r2)
}

func (d *Dashboard) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/{name}", serveAsset)
	for pattern, read := range d.reads() {
		mux.Handle("GET "+pattern, d.guarded(Read, read))
	}
	for pattern, act := range d.writes() {
		mux.Handle("POST "+pattern, d.guarded(act.needs, act.do))
		mux.Handle(pattern, d.guarded(Read, onlyPost))
	}
	mux.Handle("/", d.guarded(Read, func(http.ResponseWriter, *request) error { return errNoPage }))
	return mux
}

// secure lets a browser load what is ours and nothing else, keep nothing, and tell nobody.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
		"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
