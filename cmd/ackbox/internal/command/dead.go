package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/rabbitmq"
)

func (a *app) dead() *cobra.Command {
	return group("dead", "Messages in the broker's dead queues: those without a row", a.deadList(), a.deadRequeue())
}

// deadFlags are the flags that choose messages of a dead queue.
type deadFlags struct {
	ackbox.DeadFilter
	after, before string
	limit         int
}

func (f *deadFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.In, "in", "", "look in this queue instead of QUEUE.dead")
	flags.StringVar(&f.ID, "id", "", "with this id")
	flags.StringVarP(&f.Kind, "kind", "k", "", "of this kind")
	flags.StringVar(&f.Exchange, "exchange", "", "published to this exchange")
	flags.StringVar(&f.RoutingKey, "routing-key", "", "by this routing key")
	flags.StringVarP(&f.Error, "error", "e", "", "whose error contains this")
	flags.StringVar(&f.after, "after", "", "given up since then: a time, or how long ago (90m, 7d)")
	flags.StringVar(&f.before, "before", "", "given up until then, likewise")
	flags.IntVarP(&f.limit, "limit", "n", 100, "how many at most")
}

func (f *deadFlags) filter(now time.Time) (ackbox.DeadFilter, error) {
	var err, errBefore error
	f.DiedAfter, err = when("--after", f.after, now)
	f.DiedBefore, errBefore = when("--before", f.before, now)
	err = errors.Join(err, errBefore)
	if f.limit < 1 {
		err = errors.Join(err, fmt.Errorf("--limit is %d: want 1 or more", f.limit))
	}
	if err == nil {
		err = f.Validate()
	}
	if err != nil {
		return ackbox.DeadFilter{}, usageError{err}
	}
	return f.DeadFilter, nil
}

func (a *app) deadList() *cobra.Command {
	var f deadFlags
	cmd := &cobra.Command{
		Use: "list QUEUE", Short: "List messages of the work queue's dead queue", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			filter, err := f.filter(time.Now())
			if err != nil {
				return err
			}
			b, err := a.brokerOf(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			report, err := look(cmd.Context(), b, args[0], filter, f.limit)
			if err != nil {
				return err
			}
			return a.showDead(report)
		},
	}
	f.add(cmd)
	return cmd
}

// lookTimeout bounds a look into a dead queue, which waits for a broker that is away.
const lookTimeout = time.Minute

func look(ctx context.Context, b *rabbitmq.Broker, queue string, filter ackbox.DeadFilter, limit int) (ackbox.DeadReport, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return b.Dead(ctx, queue, filter, limit)
}

// brokerOf is the broker of a work queue, which has answered: what looks into dead queues
// would wait for one that is away.
func (a *app) brokerOf(ctx context.Context, queue string) (*rabbitmq.Broker, error) {
	topology := ackbox.Topology{Queues: []ackbox.Queue{{Name: queue, Passive: true}}}
	if err := topology.Validate(); err != nil {
		return nil, usageError{err}
	}
	b, err := a.broker(topology)
	if err != nil {
		return nil, err
	}
	if _, err := b.Waiting(ctx, queue+".dead"); err != nil && !errors.Is(err, core.ErrNoQueue) {
		return nil, err
	}
	return b, nil
}

func (a *app) deadRequeue() *cobra.Command {
	var f deadFlags
	var dryRun, yes bool
	cmd := &cobra.Command{
		Use: "requeue QUEUE", Short: "Move messages from the dead queue back to the work queue, with all their tries again",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			filter, err := f.filter(time.Now())
			if err == nil {
				if err = filter.Deletes(); err != nil {
					err = usagef("no message is chosen: want a filter such as --kind or --error, or --all")
				}
			}
			if err != nil {
				return err
			}
			b, err := a.brokerOf(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			report, err := look(cmd.Context(), b, args[0], filter, f.limit)
			switch {
			case err != nil:
				return err
			case dryRun:
				return a.showDead(report)
			case report.Matched == 0:
				return errNothing
			}
			return a.moveDead(cmd.Context(), b, args[0], filter, min(f.limit, report.Matched), yes)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.All, "all", false, "every message")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only list them")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func (a *app) moveDead(ctx context.Context, b *rabbitmq.Broker, queue string, filter ackbox.DeadFilter, limit int, yes bool) error {
	if err := a.confirm(fmt.Sprintf("requeue %d messages to %s?", limit, clean(queue)), yes); err != nil {
		return err
	}
	moved, err := b.RequeueDead(ctx, queue, filter, limit)
	if err != nil {
		return fmt.Errorf("%d messages were requeued: %w", moved, err)
	}
	if a.json {
		return a.printJSON(map[string]int{"requeued": moved})
	}
	a.printf("%d messages requeued to %s\n", moved, clean(queue))
	return nil
}

// deadJSON is a dead message as programs are given it.
type deadJSON struct {
	ID           string     `json:"id"`
	Kind         string     `json:"kind"`
	Exchange     string     `json:"exchange"`
	RoutingKey   string     `json:"routing_key"`
	Attempt      int        `json:"attempt"`
	Error        string     `json:"error"`
	FirstSeen    *time.Time `json:"first_seen,omitempty"`
	DiedAt       *time.Time `json:"died_at,omitempty"`
	PayloadBytes int        `json:"payload_bytes"`
}

func (a *app) showDead(r ackbox.DeadReport) error {
	if a.json {
		list := make([]deadJSON, 0, len(r.Messages))
		for i := range r.Messages {
			m := &r.Messages[i]
			list = append(list, deadJSON{m.ID, m.Kind, m.Exchange, m.RoutingKey, m.Attempt, m.Error, set(m.FirstSeen), set(m.DiedAt), len(m.Payload)})
		}
		return a.printJSON(struct {
			Messages []deadJSON `json:"messages"`
			Matched  int        `json:"matched"`
			Looked   int        `json:"looked"`
			Complete bool       `json:"complete"`
		}{list, r.Matched, r.Looked, r.Complete})
	}
	rows := make([][]string, 0, len(r.Messages))
	for i := range r.Messages {
		m := &r.Messages[i]
		rows = append(rows, []string{
			m.ID, m.Kind, dash(m.Exchange), m.RoutingKey, strconv.Itoa(m.Attempt), stamp(&m.DiedAt), short(m.Error, 60),
		})
	}
	if err := a.printTable("no message matches", []string{"ID", "KIND", "EXCHANGE", "ROUTING KEY", "TRIES", "DIED", "ERROR"}, rows); err != nil {
		return err
	}
	rest := ""
	if !r.Complete {
		rest = "; the queue holds more than one look takes"
	}
	a.note("%d match of %d that were looked at%s", r.Matched, r.Looked, rest)
	return nil
}

func set(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
