package command

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ackbox/ackbox/outbox"
)

func (a *app) stats() *cobra.Command {
	var q outbox.StatsQuery
	var last, step string
	cmd := &cobra.Command{
		Use: "stats", Short: "Say what happened: counts, waits and runs", Args: cobra.NoArgs,
		Example: "  ackbox stats --last 1h --by-kind\n  ackbox stats --last 7d --step hour --queue orders",
		RunE: func(cmd *cobra.Command, _ []string) error {
			back, err := duration(last)
			if err != nil || back < time.Minute {
				return usagef("--last is %q: want a minute or more, such as 15m, 24h or 7d", last)
			}
			switch step {
			case "minute", "hour", "all":
			default:
				return usagef("--step is %q: want minute, hour or all", step)
			}
			q.Step = time.Minute
			if step == "hour" || back > 24*time.Hour {
				q.Step = time.Hour
			}
			q.To = time.Now()
			q.From = q.To.Add(-back).Truncate(q.Step)
			s, err := a.store()
			if err != nil {
				return err
			}
			list, err := s.Stats(cmd.Context(), q)
			if err != nil {
				return err
			}
			if step == "all" {
				list = summed(list, q.From)
			}
			return a.showStats(list)
		},
	}
	f := cmd.Flags()
	f.StringVar(&last, "last", "1h", "how far back: up to 25h by minutes, 31d by hours")
	f.StringVar(&step, "step", "all", "one line for each minute or hour, or one for all")
	f.StringVarP(&q.Queue, "queue", "q", "", "of this queue")
	f.StringVarP(&q.Kind, "kind", "k", "", "of this kind")
	f.BoolVar(&q.ByQueue, "by-queue", false, "a line for each queue")
	f.BoolVar(&q.ByKind, "by-kind", false, "a line for each kind")
	return cmd
}

// summed adds up what happened in all steps, by queue and kind, in the order of the list.
func summed(list []outbox.Stat, from time.Time) []outbox.Stat {
	type name struct{ queue, kind string }
	at := make(map[name]int)
	var sums []outbox.Stat
	for i := range list {
		next := &list[i]
		n := name{next.Queue, next.Kind}
		if _, ok := at[n]; !ok {
			at[n] = len(sums)
			sums = append(sums, outbox.Stat{At: from, Queue: n.queue, Kind: n.kind})
		}
		sum := &sums[at[n]]
		sum.Enqueued += next.Enqueued
		sum.Sent += next.Sent
		sum.Refused += next.Refused
		sum.Done += next.Done
		sum.Failed += next.Failed
		sum.Dead += next.Dead
		sum.Wait = added(sum.Wait, next.Wait)
		sum.Run = added(sum.Run, next.Run)
	}
	return sums
}

func added(a, b outbox.Histogram) outbox.Histogram {
	sum := make(outbox.Histogram, max(len(a), len(b)))
	copy(sum, a)
	for i, n := range b {
		sum[i] += n
	}
	return sum
}

// statJSON is a line of statistics as programs are given it; seconds.
type statJSON struct {
	At       time.Time `json:"at"`
	Queue    string    `json:"queue,omitempty"`
	Kind     string    `json:"kind,omitempty"`
	Enqueued int64     `json:"enqueued"`
	Sent     int64     `json:"sent"`
	Refused  int64     `json:"refused"`
	Done     int64     `json:"done"`
	Failed   int64     `json:"failed"`
	Dead     int64     `json:"dead"`
	WaitP50  float64   `json:"wait_p50_seconds"`
	WaitP99  float64   `json:"wait_p99_seconds"`
	RunP50   float64   `json:"run_p50_seconds"`
	RunP99   float64   `json:"run_p99_seconds"`
}

func (a *app) showStats(list []outbox.Stat) error {
	if a.json {
		lines := make([]statJSON, 0, len(list))
		for i := range list {
			s := &list[i]
			q := func(h outbox.Histogram, p float64) float64 { return h.Quantile(p).Seconds() }
			lines = append(lines, statJSON{
				s.At, s.Queue, s.Kind, s.Enqueued, s.Sent, s.Refused, s.Done, s.Failed, s.Dead,
				q(s.Wait, 0.5), q(s.Wait, 0.99), q(s.Run, 0.5), q(s.Run, 0.99),
			})
		}
		return a.printJSON(lines)
	}
	rows := make([][]string, 0, len(list))
	for i := range list {
		s := &list[i]
		n := func(n int64) string { return strconv.FormatInt(n, 10) }
		q := func(h outbox.Histogram, p float64) string { return span(h.Quantile(p)) }
		rows = append(rows, []string{
			s.At.UTC().Format("2006-01-02 15:04Z"), dash(s.Queue), dash(s.Kind),
			n(s.Enqueued), n(s.Sent), n(s.Refused), n(s.Done), n(s.Failed), n(s.Dead),
			q(s.Wait, 0.5), q(s.Wait, 0.99), q(s.Run, 0.5), q(s.Run, 0.99),
		})
	}
	return a.printTable("nothing happened in that time", []string{
		"FROM", "QUEUE", "KIND", "ENQUEUED", "SENT", "REFUSED", "DONE", "FAILED", "DEAD", "WAIT P50", "P99", "RUN P50", "P99",
	}, rows)
}
