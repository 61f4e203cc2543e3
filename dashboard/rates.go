package dashboard

import (
	"strconv"
	"time"

	"github.com/ackbox/ackbox/outbox"
)

// timeSpan is how far back a chart goes, by which steps it is read, and drawn.
type timeSpan struct{ back, step, draw time.Duration }

// from is where the first drawn step begins.
func (t timeSpan) from(now time.Time) time.Time {
	return now.UTC().Truncate(t.draw).Add(t.draw - t.back)
}

func (t timeSpan) len() int { return int(t.back / t.draw) }

// at is the drawn step in which a time is; -1 if in none.
func (t timeSpan) at(now, when time.Time) int {
	i := int(when.Sub(t.from(now)) / t.draw)
	if when.Before(t.from(now)) || i >= t.len() {
		return -1
	}
	return i
}

// gather adds stats up into drawn steps.
func gather(stats []outbox.Stat, span timeSpan, now time.Time) []outbox.Stat {
	steps := make([]outbox.Stat, span.len())
	for _, s := range stats {
		if i := span.at(now, s.At); i >= 0 {
			addStat(&steps[i], s)
		}
	}
	return steps
}

func addStat(to *outbox.Stat, s outbox.Stat) {
	to.Enqueued += s.Enqueued
	to.Sent += s.Sent
	to.Refused += s.Refused
	to.Done += s.Done
	to.Failed += s.Failed
	to.Dead += s.Dead
	to.Wait = addHistogram(to.Wait, s.Wait)
	to.Run = addHistogram(to.Run, s.Run)
}

func addHistogram(a, b outbox.Histogram) outbox.Histogram {
	for len(a) < len(b) {
		a = append(a, 0)
	}
	for i, n := range b {
		a[i] += n
	}
	return a
}

func charts(steps []outbox.Stat, span timeSpan, now time.Time) []chart {
	each := func(f func(outbox.Stat) float64) []float64 {
		values := make([]float64, len(steps))
		for i, s := range steps {
			values[i] = f(s)
		}
		return values
	}
	seconds := func(h func(outbox.Stat) outbox.Histogram, p float64) []float64 {
		return each(func(s outbox.Stat) float64 { return h(s).Quantile(p).Seconds() })
	}
	wait := func(s outbox.Stat) outbox.Histogram { return s.Wait }
	run := func(s outbox.Stat) outbox.Histogram { return s.Run }
	base := chart{From: span.from(now), Step: span.draw}
	jobs, waits, runs := base, base, base
	per := map[time.Duration]string{time.Minute: "minute", 10 * time.Minute: "10 minutes", time.Hour: "hour"}[span.draw]
	jobs.Title, jobs.Unit = "Jobs per "+per, "jobs"
	jobs.Series = []series{
		{"written", "line", "plain", each(func(s outbox.Stat) float64 { return float64(s.Enqueued) })},
		{"done", "area", "good", each(func(s outbox.Stat) float64 { return float64(s.Done) })},
		{"failed tries", "bars", "bad", each(func(s outbox.Stat) float64 { return float64(s.Failed + s.Dead) })},
	}
	waits.Title, waits.Unit = "From due to sent", "seconds"
	waits.Series = []series{{"p50", "area", "calm", seconds(wait, 0.5)}, {"p99", "line", "sharp", seconds(wait, 0.99)}}
	runs.Title, runs.Unit = "A handler's run", "seconds"
	runs.Series = []series{{"p50", "area", "calm", seconds(run, 0.5)}, {"p99", "line", "sharp", seconds(run, 0.99)}}
	return []chart{jobs, waits, runs}
}

func totals(steps []outbox.Stat) []total {
	var all outbox.Stat
	for _, s := range steps {
		addStat(&all, s)
	}
	failed := all.Failed + all.Dead
	t := []total{
		{Name: "written", Value: number(all.Enqueued)},
		{Name: "done", Value: number(all.Done), Tone: "good"},
		{Name: "failed tries", Value: number(failed), Note: percent(failed, all.Done+failed), Tone: "warn"},
		{Name: "given up", Value: number(all.Dead), Tone: "bad"},
		{Name: "wait", Value: span(all.Wait.Quantile(0.99)), Note: "p99"},
		{Name: "run", Value: span(all.Run.Quantile(0.99)), Note: "p99"},
	}
	if failed == 0 {
		t[2].Tone, t[2].Note = "", ""
	}
	if all.Dead == 0 {
		t[3].Tone = ""
	}
	return t
}

func percent(n, of int64) string {
	if of == 0 || n == 0 {
		return ""
	}
	p := float64(n) / float64(of) * 100
	if p < 0.1 {
		return "< 0.1 %"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + " %"
}

// addRates adds to each queue what happened in it in the last hour.
func addRates(lines []queueLine, stats []outbox.Stat, span timeSpan, now time.Time) {
	at := make(map[string]int)
	for i := range lines {
		at[lines[i].Queue] = i
		lines[i].Spark = spark{make([]float64, span.len()), make([]float64, span.len())}
	}
	for _, s := range stats {
		i, ok := at[visible(s.Queue)]
		step := span.at(now, s.At)
		if !ok || step < 0 {
			continue
		}
		l := &lines[i]
		if l.Queue == "" {
			s.Done += s.Sent // an event's story ends there: nobody reports it done
		}
		l.DoneHour += s.Done
		l.FailedHour += s.Failed + s.Dead
		l.SentHour += s.Sent
		l.Spark.Values[step] += float64(s.Done)
		l.Spark.Bad[step] += float64(s.Failed + s.Dead)
	}
}
