//go:build unix

package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox/dashboard"
	"github.com/ackbox/ackbox/outbox"
)

// pages are the dashboard's, each made whole: all that it reads, and what it writes to the
// browser, whose bytes are counted.
func pages(ctx context.Context, s *outbox.Store, db *gorm.DB) ([]look, error) {
	var dead []string
	if err := db.WithContext(ctx).Raw("SELECT id FROM ackbox_jobs WHERE state = 'dead' ORDER BY finished_at DESC LIMIT 1000").Scan(&dead).Error; err != nil {
		return nil, err
	}
	board, err := dashboard.New(s, dashboard.Config{
		Authorize: func(*http.Request) (dashboard.Viewer, error) {
			return dashboard.Viewer{Name: "looks", Can: dashboard.Everything}, nil
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	page := func(name string, path func() string) look {
		return look{name, func(ctx context.Context) (int, error) {
			w := httptest.NewRecorder()
			board.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path(), nil))
			if w.Code != http.StatusOK {
				return 0, fmt.Errorf("%s: status %d", path(), w.Code)
			}
			return w.Body.Len(), nil
		}}
	}
	at := func(path string) func() string { return func() string { return path } }
	search := func(path, q string) func() string { return at(path + "q=" + url.QueryEscape(q)) }
	return []look{
		page("Now", at("/")),
		page("Now, 24 hours", at("/?range=24h")),
		page("Now, 7 days", at("/?range=7d")),
		page("Jobs", at("/jobs")),
		page("Jobs, dead", at("/jobs?state=dead")),
		page("Jobs, pending", at("/jobs?state=pending")),
		page("Jobs by queue and kind", search("/jobs?state=done&", "queue:q7 kind:kind.16")),
		page("Jobs by error", search("/jobs?state=dead&", `error:"no such order: 77"`)),
		page("Jobs by a kind that none has", search("/jobs?", "kind:none")),
		page("Job", func() string { return "/jobs/" + dead[rand.IntN(len(dead))] }), //nolint:gosec // nothing is secret
		page("Given up", at("/given-up")),
		page("Given up, a kind", search("/given-up?", "kind:kind.16")),
		page("Queues", at("/queues")),
		page("Instances", at("/instances")),
		page("Operations", at("/operations")),
		page("Dry run: requeue all dead", at("/bulk?action=requeue&state=dead")),
		page("Dry run: cancel a queue's", search("/bulk?action=cancel&state=pending&", "queue:q7")),
	}, nil
}

// measurePages times whole pages; -limit is for their reads one by one.
func measurePages(ctx context.Context, s *outbox.Store, db *gorm.DB, o options) error {
	all, err := pages(ctx, s, db)
	if err != nil {
		return err
	}
	fmt.Printf("\n| page | bytes | p50 ms | p99 ms |\n|---|---|---|---|\n")
	for _, l := range all {
		bytes, took, err := timed(ctx, l, o.runs)
		if err != nil {
			return fmt.Errorf("page %s: %w", l.name, err)
		}
		fmt.Printf("| %s | %d | %.1f | %.1f |\n", l.name, bytes, ms(took[len(took)/2]), ms(took[len(took)*99/100]))
	}
	return nil
}
