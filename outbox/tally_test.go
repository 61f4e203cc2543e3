package outbox

import (
	"fmt"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// What is counted costs nanoseconds for each job, beside tens of microseconds for the rest.
func BenchmarkTally(b *testing.B) {
	now := time.Now()
	for _, kinds := range []int{1, 20} {
		batch := make([]settlement, 512)
		for i := range batch {
			job := &ackbox.Job{ID: NewID(), Queue: "default", Kind: fmt.Sprint("kind", i%kinds), Attempt: 1, CreatedAt: now, Waited: time.Duration(i) * time.Millisecond}
			batch[i] = settlement{job, core.Transition{To: ackbox.Sent}}
		}
		b.Run(fmt.Sprintf("sent/%d", kinds), func(b *testing.B) {
			var t tally
			for b.Loop() {
				t.relayed(now, batch)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/job")
		})
		b.Run(fmt.Sprintf("ran/%d", kinds), func(b *testing.B) {
			var t tally
			for b.Loop() {
				for i := range batch {
					t.ran(now, core.Ran{Queue: batch[i].job.Queue, Kind: batch[i].job.Kind, To: ackbox.Done, For: batch[i].job.Waited})
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/job")
		})
	}
}

// What cannot be written is kept as far as there is room, and added up.
func TestTallyGivesBack(t *testing.T) {
	t.Parallel()
	var c tally
	now := time.Unix(6000, 0)
	done := core.Ran{Queue: "q", Kind: "k", To: ackbox.Done, For: time.Second}
	c.ran(now, done)
	taken := c.take()
	c.ran(now, done)
	c.ran(now.Add(time.Minute), done)
	c.giveBack(taken)
	got := c.take()
	if n := got[tallied{100, pair{"q", "k"}}]; len(got) != 2 || n == nil || n.Done != 2 || n.Run.Total() != 2 {
		t.Errorf("kept %+v", got)
	}
	if len(c.take()) != 0 {
		t.Error("taken twice")
	}
	many := make(map[tallied]*counts)
	for i := range maxTallied {
		many[tallied{int64(i), pair{"q", "k"}}] = &counts{Done: 1}
	}
	c.ran(now, done)
	c.giveBack(many)
	if n := len(c.take()); n != 1 {
		t.Errorf("%d are kept of too many", n)
	}
}

// A minute that has passed has its rows, and those of a time that nobody asks for are left
// out.
func TestStatsRows(t *testing.T) {
	t.Parallel()
	now := time.Unix(100*24*3600+1800, 0)
	taken := make(map[tallied]*counts)
	for _, ago := range []time.Duration{0, time.Minute, 2 * time.Hour, 27 * time.Hour, 32 * 24 * time.Hour} {
		taken[tallied{minuteOf(now.Add(-ago)), pair{"q", "k"}}] = &counts{Done: 1}
	}
	var minutes, hours, done int
	for i, r := range statsRows(taken, now) {
		if r.Wait == nil || r.Run == nil || i > 0 && r.Span == 60 && hours > 0 {
			t.Errorf("row %d is %+v", i, r)
		}
		if r.Span == 60 {
			minutes++
		} else {
			hours++
			done += int(r.Done)
		}
	}
	if minutes != 3 || hours != 3 || done != 4 {
		t.Errorf("%d rows of minutes, %d of hours with %d done", minutes, hours, done)
	}
}
