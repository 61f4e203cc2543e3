package ackbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
)

func TestDeadFilterMatch(t *testing.T) {
	t.Parallel()
	died := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	m := ackbox.DeadMessage{
		Job:   ackbox.Job{ID: "1", Kind: "order.paid", Exchange: "shop", RoutingKey: "order.paid"},
		Error: "handler: no stock of 7", DiedAt: died,
	}
	for name, tt := range map[string]struct {
		filter ackbox.DeadFilter
		want   bool
	}{
		"empty":              {ackbox.DeadFilter{}, true},
		"all":                {ackbox.DeadFilter{All: true}, true},
		"everything":         {ackbox.DeadFilter{ID: "1", Kind: "order.paid", Exchange: "shop", RoutingKey: "order.paid", Error: "no stock", DiedAfter: died, DiedBefore: died.Add(1)}, true},
		"another id":         {ackbox.DeadFilter{ID: "2"}, false},
		"a part of a kind":   {ackbox.DeadFilter{Kind: "order"}, false},
		"another exchange":   {ackbox.DeadFilter{Exchange: "mall"}, false},
		"another key":        {ackbox.DeadFilter{RoutingKey: "order.#"}, false},
		"another error":      {ackbox.DeadFilter{Error: "timeout"}, false},
		"died too early":     {ackbox.DeadFilter{DiedAfter: died.Add(1)}, false},
		"died too late":      {ackbox.DeadFilter{DiedBefore: died}, false},
		"all does not widen": {ackbox.DeadFilter{ID: "2", All: true}, false},
	} {
		if got := tt.filter.Match(m); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	m.DiedAt = time.Time{} // nobody knows
	for _, f := range []ackbox.DeadFilter{{DiedAfter: died}, {DiedBefore: died}} {
		if f.Match(m) {
			t.Errorf("%+v chooses what died nobody knows when", f)
		}
	}
}

func TestDeadFilterDeletes(t *testing.T) {
	t.Parallel()
	elsewhere := time.FixedZone("elsewhere", 3600)
	for _, f := range []ackbox.DeadFilter{
		{},
		{In: "theirs", DeliveryLimit: 5},
		{DiedAfter: time.Time{}.In(elsewhere)}, // chooses all, and equals no zero value
		{DiedBefore: time.Time{}.In(elsewhere)},
	} {
		if err := f.Deletes(); err == nil || !strings.Contains(err.Error(), "All") {
			t.Errorf("%+v deletes: %v", f, err)
		}
		f.All = true
		if err := f.Deletes(); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
	for _, f := range []ackbox.DeadFilter{
		{ID: "1"}, {Kind: "k"}, {Exchange: "x"}, {RoutingKey: "k"}, {Error: "e"}, {DiedAfter: time.Unix(1, 0)}, {DiedBefore: time.Unix(1, 0)},
	} {
		if err := f.Deletes(); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func TestDeadFilterValidate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for want, f := range map[string]ackbox.DeadFilter{
		"DeadFilter.In":                         {In: strings.Repeat("q", 256)},
		"DeadFilter.In \"a\\x00b\"":             {In: "a\x00b"},
		"DeadFilter.In \"\\xff\"":               {In: "\xff"},
		"DeadFilter.DeliveryLimit is 1":         {In: "q", DeliveryLimit: 1},
		"DeadFilter.DeliveryLimit is -1":        {In: "q", DeliveryLimit: -1},
		"DeadFilter.DeliveryLimit is 5 without": {DeliveryLimit: 5},
		"DeadFilter.DiedAfter":                  {DiedAfter: now, DiedBefore: now},
	} {
		if err := f.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", f, err, want)
		}
	}
	for _, f := range []ackbox.DeadFilter{{}, {In: strings.Repeat("q", 255), DeliveryLimit: 2}, {DiedAfter: now, DiedBefore: now.Add(1)}} {
		if err := f.Validate(); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
