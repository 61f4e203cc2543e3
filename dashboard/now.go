package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/ackbox/ackbox/outbox"
)

// nowPage is what needs attention, and how things go.
type nowPage struct {
	Attention []attention `json:"attention"`
	// Trouble is what could not be read; the rest is shown all the same.
	Trouble []string `json:"trouble,omitempty"`
	Range   string   `json:"range"`
	// Totals are of the whole range.
	Totals []total `json:"totals"`
	Charts []chart `json:"charts"`
	// Alive is how many loops have said that they are alive.
	Alive  int         `json:"alive"`
	Queues []queueLine `json:"queues"`
}

// total is one number of the first page.
type total struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Note  string `json:"note,omitempty"`
	Tone  string `json:"-"`
}

// ranges are how far back charts go.
var ranges = []string{"1h", "24h", "7d"}

// Ranges lists them.
func (nowPage) Ranges() []string { return ranges }

func (d *Dashboard) overview(w http.ResponseWriter, r *request) error {
	page := nowPage{Range: r.URL.Query().Get("range")}
	if page.Range != "24h" && page.Range != "7d" {
		page.Range = "1h"
	}
	s := d.situation(r, &page)
	page.Attention = s.attend()
	if page.Attention == nil {
		page.Attention = []attention{}
	}
	for _, i := range s.instances {
		if i.Alive {
			page.Alive++
		}
	}
	page.Queues = queueLines(s.queues, r.now)
	d.history(r, &page)
	d.page(w, r, http.StatusOK, "now", page)
	return nil
}

// situation reads how things are; what cannot be read is said in page.
func (d *Dashboard) situation(r *request, page *nowPage) situation {
	ctx := r.Context()
	s := situation{now: r.now, late: d.cfg.Late}
	trouble := func(what string, err error) {
		if err != nil {
			page.Trouble = append(page.Trouble, fmt.Sprintf("%s could not be read: %v", what, err))
		}
	}
	var err error
	s.queues, err = d.ledger.QueueStatus(ctx)
	trouble("The queues", err)
	s.instances, err = d.ledger.Instances(ctx)
	trouble("The instances", err)
	groups, _, err := d.ledger.GivenUp(ctx, outbox.Filter{State: "dead", After: r.now.Add(-time.Hour)})
	trouble("What was given up", err)
	s.givenUp = d.groups(groups)
	if d.cfg.Broker != nil {
		ctx, cancel := context.WithTimeout(ctx, glance)
		defer cancel()
		health := d.cfg.Broker.Health(ctx)
		s.broker = &health
	}
	return s
}

// history reads what happened over the page's range, and draws it.
func (d *Dashboard) history(r *request, page *nowPage) {
	span := map[string]timeSpan{
		"1h": {time.Hour, time.Minute, time.Minute}, "24h": {24 * time.Hour, time.Minute, 10 * time.Minute},
		"7d": {7 * 24 * time.Hour, time.Hour, time.Hour},
	}[page.Range]
	stats, err := d.stats(r, span, false)
	if err != nil {
		page.Trouble = append(page.Trouble, fmt.Sprintf("What happened in the past could not be read: %v", err))
		return
	}
	steps := gather(stats, span, r.now)
	page.Charts = charts(steps, span, r.now)
	page.Totals = totals(steps)
	hour := timeSpan{time.Hour, time.Minute, 2 * time.Minute}
	byQueue, err := d.stats(r, hour, true)
	if err != nil {
		page.Trouble = append(page.Trouble, fmt.Sprintf("What happened in each queue could not be read: %v", err))
		return
	}
	addRates(page.Queues, byQueue, hour, r.now)
}

func (d *Dashboard) stats(r *request, span timeSpan, byQueue bool) ([]outbox.Stat, error) {
	stats, err := d.ledger.Stats(r.Context(), outbox.StatsQuery{
		From: span.from(r.now), To: r.now, Step: span.step, ByQueue: byQueue,
	})
	if err != nil {
		return nil, fmt.Errorf("stats: %w", err)
	}
	return stats, nil
}
