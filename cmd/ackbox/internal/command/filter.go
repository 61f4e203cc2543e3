package command

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// filterFlags are the flags that select jobs.
type filterFlags struct {
	outbox.Filter
	state         string
	after, before string
}

func (f *filterFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.state, "state", "", "one of "+states())
	flags.BoolVar(&f.Running, "running", false, "those that a handler has now")
	flags.StringVarP(&f.Queue, "queue", "q", "", "of this queue")
	flags.StringVarP(&f.Kind, "kind", "k", "", "of this kind")
	flags.StringVar(&f.Key, "key", "", "about this, such as order:42")
	flags.StringVarP(&f.Error, "error", "e", "", "whose latest error contains this")
	flags.StringVar(&f.after, "after", "", "since then: a time (2006-01-02T15:04:05Z, 2006-01-02), or how long ago (90m, 2h, 7d)")
	flags.StringVar(&f.before, "before", "", "until then, likewise")
	_ = cmd.RegisterFlagCompletionFunc("state", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return strings.Split(states(), ", "), cobra.ShellCompDirectiveNoFileComp
	}) // fails only for a flag that is not there
}

func states() string {
	var names []string
	for _, s := range ackbox.States() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// filter is what the flags say.
func (f *filterFlags) filter(now time.Time) (outbox.Filter, error) {
	var errs []error
	f.State = ackbox.State(f.state)
	if f.state != "" && !f.State.Valid() {
		errs = append(errs, fmt.Errorf("--state is %q: want one of %s", f.state, states()))
	}
	var err error
	if f.After, err = when("--after", f.after, now); err != nil {
		errs = append(errs, err)
	}
	if f.Before, err = when("--before", f.before, now); err != nil {
		errs = append(errs, err)
	}
	if !f.After.IsZero() && !f.Before.IsZero() && !f.After.Before(f.Before) {
		errs = append(errs, errors.New("--after is not before --before"))
	}
	if err := errors.Join(errs...); err != nil {
		return outbox.Filter{}, usageError{err}
	}
	return f.Filter, nil
}

// when reads a point in time, absolute or back from now.
func when(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	back, err := duration(text)
	if err != nil || back < 0 {
		return time.Time{}, fmt.Errorf("%s is %q: want a time such as 2026-11-28T01:30:00Z or 2026-11-28 (UTC), or how long ago: 90m, 2h, 7d", flag, text)
	}
	return now.Add(-back), nil
}

// duration is time.ParseDuration, with days.
func duration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		if _, err := fmt.Sscanf(days+" ", "%d ", &n); err == nil && n >= 0 && n < 100_000 && fmt.Sprint(n) == days {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	return time.ParseDuration(text)
}

// described is a filter in words.
func described(f outbox.Filter) string {
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+clean(value))
		}
	}
	add("state", string(f.State))
	if f.Running {
		parts = append(parts, "running")
	}
	add("queue", f.Queue)
	add("kind", f.Kind)
	add("key", f.Key)
	add("error", f.Error)
	if !f.After.IsZero() {
		add("since", stamp(&f.After))
	}
	if !f.Before.IsZero() {
		add("until", stamp(&f.Before))
	}
	if len(parts) == 0 {
		return "every job"
	}
	return strings.Join(parts, ", ")
}
