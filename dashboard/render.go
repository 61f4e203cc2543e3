package dashboard

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

//go:embed templates/*.html
var templateFiles embed.FS

// pageSet has a template of each page, by its name.
type pageSet map[string]*template.Template

// pageNames are the templates that are pages; the others are their parts.
var pageNames = []string{"now", "jobs", "job", "givenup", "dead", "queues", "instances", "operations", "operation", "bulk", "error"}

func parsePages() (pageSet, error) {
	base, err := template.New("base.html").Funcs(words).ParseFS(templateFiles, "templates/base.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("parse templates: %w", err)
	}
	set := make(pageSet)
	for _, name := range pageNames {
		page, err := base.Clone()
		if err == nil {
			page, err = page.ParseFS(templateFiles, "templates/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("parse templates: %w", err)
		}
		set[name] = page
	}
	return set, nil
}

// frame is what stands around every page.
type frame struct {
	// Root leads from the page to the dashboard's first page: "./" or "../".
	Root string
	// Here is the page itself, relative to Root, with its query: where to come back to.
	Here string
	// Name is Config.Name, Page the page's template.
	Name, Page string
	Viewer     Viewer
	Theme      string
	Now        time.Time
	// Told is what has just been done, in a sentence, if anything was.
	Told told
	// D is the page's own.
	D any
}

// May reports whether the viewer may do what the permission is called.
func (f frame) May(what string) bool {
	for p := Read; p <= Delete; p <<= 1 {
		if p.String() == what {
			return f.Viewer.allows(p)
		}
	}
	return false
}

// Asset is where the page finds a file of ours.
func (f frame) Asset(name string) string { return f.Root + assetPath(name) }

// problem is the page of what did not work.
type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Text   string `json:"error"`
}

// page writes a page, as HTML or JSON, whichever is asked for. The whole page is made
// before its first byte is written: half a page is never sent.
func (d *Dashboard) page(w http.ResponseWriter, r *request, status int, name string, data any) {
	var body bytes.Buffer
	w.Header().Add("Vary", "Accept")
	if wantsJSON(r) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		enc := json.NewEncoder(&body)
		enc.SetIndent("", "  ")
		if err := enc.Encode(data); err != nil {
			d.broken(w, r, err)
			return
		}
	} else {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		here := strings.TrimPrefix(r.URL.Path, "/")
		f := frame{
			Root: root(here), Here: here, Name: d.cfg.Name, Page: name, Viewer: r.viewer,
			Theme: themeOf(r.Request), Now: r.now, Told: toldBy(r.Request), D: data,
		}
		if q := withoutTold(r.URL.Query()).Encode(); q != "" {
			f.Here += "?" + q
		}
		if err := d.pages[name].ExecuteTemplate(&body, "base.html", f); err != nil {
			d.broken(w, r, err)
			return
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // who has gone away needs no page
}

func (d *Dashboard) broken(w http.ResponseWriter, r *request, err error) {
	d.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "dashboard: page could not be written",
		slog.String("path", r.URL.Path), slog.Any("error", err))
	http.Error(w, "The page could not be written; the application's log says why.", http.StatusInternalServerError)
}

// root leads back to the first page from one at path here, which has no slash in front.
func root(here string) string {
	return "./" + strings.Repeat("../", strings.Count(here, "/"))
}

// wantsJSON reports whether r asks for JSON rather than a page: browsers name text/html.
func wantsJSON(r *request) bool {
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html")
}

// themeCookie keeps whether the page is to be light or dark.
const themeCookie = "ackbox-theme"

func themeOf(r *http.Request) string {
	c, err := r.Cookie(themeCookie)
	if err != nil || c.Value != "light" && c.Value != "dark" {
		return "auto"
	}
	return c.Value
}
