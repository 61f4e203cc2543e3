package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSweeps(t *testing.T) {
	t.Parallel()
	for _, quick := range []bool{true, false} {
		for _, s := range allSweeps(quick) {
			for _, p := range s.points {
				trial := p.trial
				if p.x <= 0 || trial.rows < 1 || trial.chunk < 1 || trial.instances < 1 || trial.item(trial.rows-1).Args == nil {
					t.Errorf("%s at %g: %d rows in chunks of %d, %d instances", s.name, p.x, trial.rows, trial.chunk, trial.instances)
				}
			}
			if !slices.IsSortedFunc(s.points, func(a, b point) int { return int(a.x - b.x) }) {
				t.Errorf("%s: the points are not ascending", s.name)
			}
		}
	}
}

// Settings of one point must not leak into another.
func TestSweepsShareNothing(t *testing.T) {
	t.Parallel()
	s := queuesSweep(quickGrow)
	for _, p := range s.points {
		n := int(p.x)
		trial := p.trial
		if len(trial.store.Queues) != n || len(trial.set.worker.Queues) != n || len(trial.set.broker.Topology.Queues) != n {
			t.Errorf("at %d: %d queues in the outbox, %d of the worker, %d in the broker",
				n, len(trial.store.Queues), len(trial.set.worker.Queues), len(trial.set.broker.Topology.Queues))
		}
	}
}

func TestParcel(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100, 1_000, 1_000_000} {
		item := payloadSweep(quickGrow).points[0].trial.item(0)
		if _, ok := item.Args.(parcel); !ok {
			t.Fatalf("%T is no parcel", item.Args)
		}
		raw := `{"body":"` + newParcel(size).Body + `"}`
		if len(raw) != size {
			t.Errorf("%d bytes, want %d", len(raw), size)
		}
	}
	if a, b := newParcel(1000), newParcel(1000); a != b {
		t.Error("two runs would carry different bytes")
	}
}

func TestChooseSweeps(t *testing.T) {
	t.Parallel()
	all := allSweeps(true)
	if got, err := chooseSweeps(all, nil); err != nil || len(got) != len(all) {
		t.Errorf("all: %d, %v", len(got), err)
	}
	if got, err := chooseSweeps(all, []string{"batch"}); err != nil || len(got) != 1 || got[0].name != "batch" {
		t.Errorf("batch: %v, %v", got, err)
	}
	if _, err := chooseSweeps(all, []string{"relay"}); err == nil || !strings.Contains(err.Error(), "prefetch") {
		t.Errorf("an unknown sweep: %v", err)
	}
}

func TestSweepLines(t *testing.T) {
	t.Parallel()
	s := sweep{
		name:   "batch",
		points: []point{{x: 1}, {x: 2}},
		series: []series{{"rate", "relay", "msg/s"}, {"p50", "batch_p50", "ms"}},
	}
	got := s.lines([][]figures{
		{{"relay": 3, "batch_p50": 1}, {"relay": 1}, {"relay": 2}}, // a round without a full batch
		{{"relay": 9, "batch_p50": 7}},
	})
	want := []line{
		{Sweep: "batch", Series: "rate", X: 1, Unit: "msg/s", Median: 2, Min: 1, Max: 3, Rounds: 3},
		{Sweep: "batch", Series: "rate", X: 2, Unit: "msg/s", Median: 9, Min: 9, Max: 9, Rounds: 1},
		{Sweep: "batch", Series: "p50", X: 2, Unit: "ms", Median: 7, Min: 7, Max: 7, Rounds: 1},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestStopwatch(t *testing.T) {
	t.Parallel()
	s := &stopwatch{full: 10}
	f := figures{}
	s.note(9, time.Second)
	if s.add(f); len(f) != 0 {
		t.Errorf("of no full batch: %v", f)
	}
	s.note(10, 3*time.Millisecond)
	s.note(10, time.Millisecond)
	if s.add(f); f["batch_p50"] != 1 || f["batch_p99"] != 3 {
		t.Errorf("of 1 and 3 ms: %v", f)
	}
}
