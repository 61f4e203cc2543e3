package command

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ackbox/ackbox/outbox"
)

const (
	minInterval = 500 * time.Millisecond
	maxInterval = time.Hour
	// topRunning is how many running jobs are shown.
	topRunning = 10
)

func (a *app) top() *cobra.Command {
	var interval time.Duration
	var rounds int
	cmd := &cobra.Command{
		Use: "top", Short: "Queues, rates, instances and what runs, again and again", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval < minInterval || interval > maxInterval || rounds < 0 {
				return usagef("--interval is %v and --rounds %d: want %v to %v, and 0 or more", interval, rounds, minInterval, maxInterval)
			}
			if a.json {
				return usagef("top is for people: queues list, stats and 'doctor' have --json")
			}
			s, err := a.store()
			if err != nil {
				return err
			}
			return a.watch(cmd.Context(), s, interval, rounds)
		},
	}
	cmd.Flags().DurationVarP(&interval, "interval", "i", 2*time.Second, "between two looks")
	cmd.Flags().IntVar(&rounds, "rounds", 0, "end after so many looks; 0: when interrupted")
	return cmd
}

// watch shows one look after the other until ctx ends, which is no failure. A look that
// fails is shown as such: the server may be back for the next.
func (a *app) watch(ctx context.Context, s *outbox.Store, interval time.Duration, rounds int) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for round := 1; ; round++ {
		var screen bytes.Buffer
		err := a.lookAround(ctx, s, &screen)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			fmt.Fprintf(&screen, "%s\n", clean(strings.ReplaceAll(a.conceal(err.Error()), "\n", " ")))
		}
		if a.env.Terminal {
			a.printf("\x1b[H\x1b[2J")
		}
		if _, errOut := a.env.Out.Write(append(screen.Bytes(), '\n')); errOut != nil {
			return errOut
		}
		if round == rounds {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// lookAround writes one look.
func (a *app) lookAround(ctx context.Context, s *outbox.Store, out *bytes.Buffer) error {
	now := time.Now()
	status, err := queueStatus(ctx, s)
	if err != nil {
		return err
	}
	instances, err := s.Instances(ctx)
	if err != nil {
		return err
	}
	const window = 5 * time.Minute
	stats, err := s.Stats(ctx, outbox.StatsQuery{From: now.Add(-window).Truncate(time.Minute), To: now, Step: time.Minute, ByQueue: true})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "ackbox %s.%s  %s\n\n", a.schema, a.table, stamp(&now))
	if err := writeTable(out, queueHead, queueRows(now, status)); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nlast 5 minutes, per minute\n")
	if err := writeTable(out, []string{"QUEUE", "ENQUEUED", "SENT", "DONE", "FAILED", "DEAD", "WAIT P50", "P99", "RUN P50", "P99"},
		rateRows(summed(stats, now), window)); err != nil {
		return err
	}
	fmt.Fprintln(out)
	if err := writeTable(out, []string{"INSTANCE", "HOST", "PID", "SEEN", "SLOTS", "IN HAND", "OVERDUE", "TROUBLE"}, instanceRows(now, instances)); err != nil {
		return err
	}
	running := runningRows(now, instances)
	if len(running) == 0 {
		return nil
	}
	fmt.Fprintf(out, "\nrunning, the longest first\n")
	return writeTable(out, []string{"FOR", "QUEUE", "KIND", "KEY", "JOB", ""}, running)
}

func rateRows(sums []outbox.Stat, window time.Duration) [][]string {
	rows := make([][]string, 0, len(sums))
	for i := range sums {
		s := &sums[i]
		rate := func(n int64) string { return strconv.FormatFloat(float64(n)/window.Minutes(), 'f', 1, 64) }
		q := func(h outbox.Histogram, p float64) string { return span(h.Quantile(p)) }
		rows = append(rows, []string{
			dash(s.Queue), rate(s.Enqueued), rate(s.Sent), rate(s.Done), rate(s.Failed), rate(s.Dead),
			q(s.Wait, 0.5), q(s.Wait, 0.99), q(s.Run, 0.5), q(s.Run, 0.99),
		})
	}
	return rows
}

func instanceRows(now time.Time, instances []outbox.Instance) [][]string {
	rows := make([][]string, 0, len(instances))
	for i := range instances {
		x := &instances[i]
		trouble := x.Trouble
		if !x.Alive {
			trouble = strings.TrimSpace("silent " + trouble)
		}
		rows = append(rows, []string{
			x.Role, x.Host, strconv.Itoa(x.PID), ago(now, x.SeenAt), strconv.Itoa(x.Slots), strconv.Itoa(x.InHand),
			strconv.Itoa(x.Overdue), dash(short(trouble, 60)),
		})
	}
	return rows
}

func runningRows(now time.Time, instances []outbox.Instance) [][]string {
	var all []outbox.Running
	for i := range instances {
		all = append(all, instances[i].Running...)
	}
	slices.SortFunc(all, func(x, y outbox.Running) int { return x.Since.Compare(y.Since) })
	rows := make([][]string, 0, topRunning)
	for _, r := range all[:min(len(all), topRunning)] {
		overdue := ""
		if r.Overdue {
			overdue = "overdue"
		}
		rows = append(rows, []string{ago(now, r.Since), r.Queue, r.Kind, dash(r.Key), r.ID, overdue})
	}
	return rows
}
