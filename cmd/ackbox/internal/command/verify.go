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
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

func (a *app) verify() *cobra.Command {
	var f struct {
		patience time.Duration
		limit    int
		queues   []string
	}
	cmd := &cobra.Command{
		Use: "verify", Short: "Compare ledger and broker, and list suspects; changes nothing", Args: cobra.NoArgs,
		Long: "Compare what the ledger says is on the road with what the broker has, queue by queue, and list the jobs\n" +
			"with which something may be wrong. It changes nothing. A job counts once it has been where it is for\n" +
			"longer than --patience, so that what moves is no suspect. Exit code 3 says that something is not well.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.limit < 1 || f.limit > 1000 || f.patience < time.Second || f.patience > 24*time.Hour {
				return usagef("--limit is %d and --patience %v: want 1 to 1000, and 1s to 24h", f.limit, f.patience)
			}
			s, err := a.store()
			if err != nil {
				return err
			}
			if len(a.amqpURLs()) == 0 {
				return usagef("there is no broker to compare with: set AMQP_URL, or --amqp-url")
			}
			return a.compare(cmd.Context(), s, f.patience, f.limit, f.queues)
		},
	}
	cmd.Flags().DurationVar(&f.patience, "patience", patience, "how long a job may be where it is, 1s to 24h")
	cmd.Flags().IntVarP(&f.limit, "limit", "n", 5, "how many suspects of each sort to list, 1 to 1000")
	cmd.Flags().StringSliceVarP(&f.queues, "queue", "q", nil, "compare only these queues")
	return cmd
}

// comparison is what ledger and broker say of one queue.
type comparison struct {
	Queue   string `json:"queue"`
	Late    int    `json:"late"`
	Road    int    `json:"on_the_road"`
	Held    int    `json:"in_hand"`
	Refused int    `json:"refused"`
	// Ready is the broker's, -1 if it could not be asked.
	Ready int `json:"broker_ready"`
	// Dead are messages without a row in the dead queue, likewise.
	Dead int `json:"broker_dead"`
	// Missing jobs, at least, are neither on the broker nor in anybody's hands.
	Missing  int           `json:"missing"`
	Verdict  string        `json:"verdict"`
	Suspects []suspectJSON `json:"suspects,omitempty"`
	unwell   bool
}

type suspectJSON struct {
	ID     string           `json:"id"`
	Kind   string           `json:"kind"`
	Why    outbox.Suspicion `json:"why"`
	Since  time.Time        `json:"since"`
	Holder string           `json:"holder,omitempty"`
	Starts int              `json:"starts,omitempty"`
}

func (a *app) compare(ctx context.Context, s *outbox.Store, patience time.Duration, limit int, only []string) error {
	names := only
	if len(names) == 0 {
		names = a.queueNames(ctx, s)
	}
	b, err := a.broker(withQueues(ackbox.Topology{}, names))
	if err != nil {
		return err
	}
	// What is taken out of a queue while the ledger is read would seem to be missing: so the
	// broker is asked before and after, and its larger answer counts.
	before := a.ready(ctx, b, names)
	balances, err := s.Balances(ctx, patience, limit)
	if err != nil {
		return err
	}
	after := a.ready(ctx, b, names)
	byName := make(map[string]*outbox.Balance)
	for i := range balances {
		byName[balances[i].Queue] = &balances[i]
	}
	if len(only) == 0 && byName[""] != nil { // events have no queue
		names = append(names, "")
	}
	list := make([]comparison, 0, len(names))
	for _, name := range names {
		balance := byName[name]
		if balance == nil {
			balance = &outbox.Balance{Queue: name}
		}
		c := compared(balance, larger(before[name], after[name]))
		if name != "" {
			c.Dead = a.deadIn(ctx, b, name)
		}
		list = append(list, c)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return a.showComparison(list)
}

// answer is the broker's.
type answer struct {
	n   int
	err error
}

func (a *app) ready(ctx context.Context, b *rabbitmq.Broker, names []string) map[string]answer {
	answers := make(map[string]answer)
	for _, name := range names {
		n, err := b.Waiting(ctx, name)
		answers[name] = answer{n, err}
	}
	return answers
}

func (a *app) deadIn(ctx context.Context, b *rabbitmq.Broker, name string) int {
	n, err := b.Waiting(ctx, name+".dead")
	switch {
	case errors.Is(err, core.ErrNoQueue):
		return 0
	case err != nil:
		return -1
	}
	return n
}

func larger(x, y answer) answer {
	if x.err != nil || y.err == nil && y.n > x.n {
		return y
	}
	return x
}

// compared is the judgement of one queue.
func compared(b *outbox.Balance, ready answer) comparison {
	c := comparison{Queue: b.Queue, Late: b.Due, Road: b.Road, Held: b.Held, Refused: b.Refused, Ready: ready.n}
	var not []string
	add := func(format string, args ...any) { not = append(not, fmt.Sprintf(format, args...)) }
	switch {
	case errors.Is(ready.err, core.ErrNoQueue):
		c.Missing = b.Road
		if b.Road > 0 {
			add("the queue is not there, and %s with it; a sweeper sends again what is lost", jobCount(b.Road))
		}
	case ready.err != nil:
		c.Ready = -1
		add("the broker could not be asked: %v", ready.err)
	case b.Road > ready.n:
		c.Missing = b.Road - ready.n
		add("at least %s sent and lost; a sweeper sends again what is lost", jobCount(c.Missing))
	}
	if b.Due > 0 {
		add("%s due and not published", jobCount(b.Due))
	}
	if b.Refused > 0 {
		add("%s refused", jobCount(b.Refused))
	}
	for _, x := range b.Suspects {
		c.Suspects = append(c.Suspects, suspectJSON{x.ID, x.Kind, x.Why, x.Since, x.Holder, x.Starts})
	}
	sorts := make(map[outbox.Suspicion]bool)
	for _, x := range b.Suspects {
		sorts[x.Why] = true
	}
	if sorts[outbox.Orphaned] {
		add("jobs are held by instances that are silent")
	}
	if sorts[outbox.Crashing] {
		add("jobs may end the processes that run them")
	}
	c.Verdict, c.unwell = "agrees", len(not) > 0
	if c.unwell {
		c.Verdict = not[0]
		for _, more := range not[1:] {
			c.Verdict += "; " + more
		}
	}
	if c.Missing == 0 { // they wait their turn on the broker
		c.Suspects = without(c.Suspects, outbox.Adrift)
	}
	return c
}

func without(list []suspectJSON, why outbox.Suspicion) []suspectJSON {
	var rest []suspectJSON
	for _, s := range list {
		if s.Why != why {
			rest = append(rest, s)
		}
	}
	return rest
}

func (a *app) showComparison(list []comparison) error {
	unwell := false
	for i := range list {
		list[i].Verdict = a.conceal(list[i].Verdict)
		unwell = unwell || list[i].unwell
	}
	err := a.printComparison(list)
	if err == nil && unwell {
		err = errUnwell
	}
	return err
}

func (a *app) printComparison(list []comparison) error {
	if a.json {
		return a.printJSON(list)
	}
	var rows, suspects [][]string
	for i := range list {
		c := &list[i]
		broker := func(n int) string {
			if n < 0 {
				return "?"
			}
			return strconv.Itoa(n)
		}
		name := c.Queue
		if name == "" {
			name = "(events)"
		}
		rows = append(rows, []string{
			name, strconv.Itoa(c.Late), strconv.Itoa(c.Road), strconv.Itoa(c.Held), strconv.Itoa(c.Refused),
			broker(c.Ready), broker(c.Dead), c.Verdict,
		})
		for _, s := range c.Suspects {
			suspects = append(suspects, []string{name, string(s.Why), s.ID, s.Kind, stamp(&s.Since), dash(s.Holder), strconv.Itoa(s.Starts)})
		}
	}
	head := []string{"QUEUE", "LATE", "ON THE ROAD", "IN HAND", "REFUSED", "BROKER READY", "BROKER DEAD", "VERDICT"}
	if err := a.printTable("no queue has jobs", head, rows); err != nil || len(suspects) == 0 {
		return err
	}
	a.printf("\nsuspects\n")
	return writeTable(a.env.Out, []string{"QUEUE", "WHY", "JOB", "KIND", "SINCE", "INSTANCE", "STARTS"}, suspects)
}
