package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// change is a command that does something to jobs: to some, by their ids, or to all that
// match a filter.
type change struct {
	action    outbox.Action
	use, does string
	// state is what the filter selects that says no state.
	state ackbox.State
	some  func(s *outbox.Store, ctx context.Context, ids ...string) (int, error)
}

// changeFlags are those of a change.
type changeFlags struct {
	filterFlags
	dryRun, yes, detach bool
	reason              string
}

func (a *app) jobsChange(c change) *cobra.Command {
	var f changeFlags
	cmd := &cobra.Command{
		Use: c.use + " [ID...]", Short: c.does,
		Long: c.does + ".\n\nSome jobs by their ids, at once; or, with flags instead, all that match them, as an operation\n" +
			"that the sweeps of all instances carry on, which is recorded and can be stopped. Nothing is done\n" +
			"to all jobs unless --all says so.",
		Example: "  ackbox jobs " + c.use + " 01936d3e-7f3c-7c1a-9d8e-2b1f0a6c5d4e\n" +
			"  ackbox jobs " + c.use + " --kind email.send --error 'connection refused' --dry-run",
		RunE: func(cmd *cobra.Command, ids []string) error { return a.change(cmd, c, &f, ids) },
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.All, "all", false, "every job that this can be done to")
	flags.BoolVarP(&f.dryRun, "dry-run", "n", false, "only say how many match, and show some")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&f.detach, "detach", false, "do not wait: the instances' sweeps do it")
	flags.StringVar(&f.reason, "reason", "", "why, for the record")
	return cmd
}

func (a *app) change(cmd *cobra.Command, c change, f *changeFlags, ids []string) error {
	filter, err := f.filter(time.Now())
	if err != nil {
		return err
	}
	selects := filter != (outbox.Filter{})
	switch {
	case len(ids) > 0 && selects:
		return usagef("there are ids and a filter: want one of them")
	case len(ids) == 0 && !selects:
		return usagef("there is neither an id nor a filter: want ids, a filter such as --kind or --error, or --all")
	}
	s, err := a.store()
	if err != nil {
		return err
	}
	ctx := a.by(cmd.Context())
	if len(ids) > 0 {
		return a.changeSome(ctx, s, c, f, ids)
	}
	if filter.State == "" {
		filter.State = c.state
	}
	return a.changeAll(ctx, s, c, f, filter)
}

func (a *app) changeSome(ctx context.Context, s *outbox.Store, c change, f *changeFlags, ids []string) error {
	if f.dryRun {
		return a.showSome(ctx, s, ids)
	}
	n, err := c.some(s, ctx, ids...)
	if err != nil {
		return fmt.Errorf("%s: %d of %d jobs changed: %w", c.use, n, len(ids), err)
	}
	if a.json {
		err = a.printJSON(map[string]int{"changed": n, "asked": len(ids)})
	} else {
		a.printf("%s: %d of %d jobs changed\n", c.use, n, len(ids))
	}
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: 'ackbox jobs show' says how the jobs are", errNothing)
	}
	return err
}

// showSome is the dry run of a change of some jobs: they are there.
func (a *app) showSome(ctx context.Context, s *outbox.Store, ids []string) error {
	var page outbox.Page
	for _, id := range ids {
		e, err := s.Get(ctx, id)
		if errors.Is(err, outbox.ErrNotFound) {
			a.note("there is no job %s", clean(id))
			continue
		}
		if err != nil {
			return err
		}
		page.Entries = append(page.Entries, e)
	}
	if len(page.Entries) == 0 {
		return errNothing
	}
	return a.showPage(page)
}

func (a *app) changeAll(ctx context.Context, s *outbox.Store, c change, f *changeFlags, filter outbox.Filter) error {
	rehearsal, err := s.Rehearse(ctx, c.action, filter)
	if err != nil {
		return err
	}
	if f.dryRun {
		return a.showRehearsal(rehearsal)
	}
	if rehearsal.Count.N == 0 {
		return errNothing
	}
	question := fmt.Sprintf("%s %s jobs: %s?", c.use, count(rehearsal.Count), described(filter))
	if err := a.confirm(question, f.yes); err != nil {
		return err
	}
	op, err := s.StartOperation(ctx, c.action, filter, f.reason)
	if err != nil {
		return err
	}
	if f.detach {
		return a.showOperations([]outbox.Operation{op}, "")
	}
	return a.follow(ctx, s, op)
}

func (a *app) showRehearsal(r outbox.Rehearsal) error {
	if a.json {
		samples := make([]jobJSON, 0, len(r.Samples))
		for i := range r.Samples {
			samples = append(samples, asJSON(&r.Samples[i], false))
		}
		return a.printJSON(struct {
			Matched int       `json:"matched"`
			More    bool      `json:"more"`
			Samples []jobJSON `json:"samples"`
		}{r.Count.N, r.Count.More, samples})
	}
	a.printf("%s jobs match; nothing was changed\n", count(r.Count))
	if len(r.Samples) == 0 {
		return nil
	}
	return a.showPage(outbox.Page{Entries: r.Samples})
}

// confirm asks the person before the terminal; who is not there has to have said --yes.
func (a *app) confirm(question string, yes bool) error {
	if yes {
		return nil
	}
	if !a.env.Terminal {
		return usagef("%s Nobody is there to be asked: say --yes, or --dry-run", question)
	}
	_, _ = fmt.Fprintf(a.env.Err, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(a.env.In).ReadString('\n') // nothing is no
	if !strings.EqualFold(strings.TrimSpace(answer), "y") {
		return usagef("not confirmed: nothing was changed")
	}
	return nil
}
