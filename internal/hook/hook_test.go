package hook_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/hook"
)

// all implements every hook, and notes what it is told.
type all struct{ told *[]string }

func (a all) note(format string, args ...any) {
	*a.told = append(*a.told, fmt.Sprintf(format, args...))
}

func (a all) Enqueued(_ context.Context, job ackbox.Job)      { a.note("enqueued %s", job.ID) }
func (a all) Published(_ context.Context, p ackbox.Published) { a.note("published %s", p.Job.ID) }
func (a all) Started(_ context.Context, job ackbox.Job)       { a.note("started %s", job.ID) }
func (a all) Finished(_ context.Context, f ackbox.Finished)   { a.note("finished %s", f.Job.ID) }

// panics panics in every hook.
type panics struct{}

func (panics) Enqueued(context.Context, ackbox.Job)        { panic("enqueued") }
func (panics) Published(context.Context, ackbox.Published) { panic("published") }
func (panics) Started(context.Context, ackbox.Job)         { panic("started") }
func (panics) Finished(context.Context, ackbox.Finished)   { panic("finished") }

func tellAll(l *hook.List) {
	ctx := context.Background()
	l.Enqueued(ctx, ackbox.Job{ID: "a"})
	l.Published(ctx, ackbox.Published{Job: ackbox.Job{ID: "b"}})
	l.Started(ctx, ackbox.Job{ID: "c"})
	l.Finished(ctx, ackbox.Finished{Job: ackbox.Job{ID: "d"}})
}

func TestEachIsToldWhatItImplements(t *testing.T) {
	t.Parallel()
	var told, first []string
	l := hook.New([]ackbox.Hook{onlyStart(func(id string) { first = append(first, id) }), all{&told}}, nil)
	tellAll(l)
	if want := []string{"enqueued a", "published b", "started c", "finished d"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if !slices.Equal(first, []string{"c"}) {
		t.Errorf("the one that implements StartHook alone was told %q", first)
	}
	if !l.Publishes() || hook.New([]ackbox.Hook{onlyStart(nil)}, nil).Publishes() {
		t.Error("Publishes is wrong")
	}
}

// onlyStart implements StartHook alone.
type onlyStart func(id string)

// Started implements ackbox.StartHook.
func (o onlyStart) Started(_ context.Context, job ackbox.Job) { o(job.ID) }

// A hook that panics, at every call, is logged now and then, and the others are called.
func TestPanicsChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		var log bytes.Buffer
		l := hook.New([]ackbox.Hook{panics{}, all{&told}}, slog.New(slog.NewTextHandler(&log, nil)))
		tellAll(l)
		tellAll(l)
		if len(told) != 8 {
			t.Errorf("the hook behind it was told %q", told)
		}
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), "panic=enqueued") || !strings.Contains(log.String(), "hook=hook_test.panics") {
			t.Errorf("%d lines: %s", n, log.String())
		}
		time.Sleep(10 * time.Second)
		tellAll(l)
		if n := strings.Count(log.String(), "level=ERROR"); n != 2 {
			t.Errorf("%d lines after ten seconds", n)
		}
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		hooks []ackbox.Hook
		want  string
	}{
		"none":       {nil, ""},
		"one":        {[]ackbox.Hook{onlyStart(nil)}, ""},
		"all":        {[]ackbox.Hook{all{}}, ""},
		"nil":        {[]ackbox.Hook{all{}, nil}, "Hooks[1] is a nil"},
		"typed nil":  {[]ackbox.Hook{(*all)(nil)}, "Hooks[0] is a nil *hook_test.all"},
		"no hook":    {[]ackbox.Hook{"text"}, "Hooks[0] is a string, which would never be called"},
		"two errors": {[]ackbox.Hook{1, 2}, "Hooks[1] is a int"},
	} {
		errs := fmt.Sprint(hook.Check(tt.hooks))
		if tt.want == "" && errs != "[]" || !strings.Contains(errs, tt.want) {
			t.Errorf("%s: %s, want %q", name, errs, tt.want)
		}
	}
}
