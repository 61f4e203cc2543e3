package command

import (
	"context"
	"fmt"
	"time"

	"github.com/ackbox/ackbox/outbox"
)

const (
	aboutLedger = "jobs and instances"
	// patience is how long a job may be where it is before it is a suspect.
	patience = time.Minute
	// consumerTimeout is RabbitMQ's default: a delivery that is not acknowledged by then ends
	// its channel.
	consumerTimeout = 30 * time.Minute
)

// judgeLedger says what is to be said of jobs and of who works on them, and which queues are
// paused.
func (a *app) judgeLedger(ctx context.Context, list *findings, s *outbox.Store) (paused map[string]bool) {
	unknown := func(what string, err error) {
		list.add(note, aboutLedger, "", "not checked: %s: %s", what, a.conceal(err.Error()))
	}
	paused = make(map[string]bool)
	status, err := s.QueueStatus(ctx)
	if err != nil {
		unknown("how queues stand", err)
	}
	for i := range status {
		if p := status[i].Paused; p != nil {
			paused[status[i].Queue] = true
			list.add(note, aboutLedger, "ackbox queues resume "+status[i].Queue, "queue %s is paused by %s since %s: %s", status[i].Queue, p.By, stamp(&p.At), dash(p.Reason))
		}
	}
	unattended, err := s.Unattended(ctx)
	if err != nil {
		unknown("queues that nobody serves", err)
	}
	for _, u := range unattended {
		if paused[u.Queue] {
			continue // it is meant to stand still
		}
		if u.Due > 0 {
			list.add(bad, aboutLedger, "see that a dispatcher runs, and what it logs; 'ackbox queues list' says whether the queue is paused", "queue %s: %s due for over a minute, and none was sent", dash(u.Queue), atLeast(u.Due))
		}
		if u.Sent > 0 {
			list.add(bad, aboutLedger, "start a worker for this queue", "queue %s: %s sent over a minute ago, and no living worker consumes it", dash(u.Queue), atLeast(u.Sent))
		}
	}
	if err == nil && len(unattended) == 0 {
		list.add(good, aboutLedger, "", "every queue with jobs is served")
	}
	balances, err := s.Balances(ctx, patience, 1)
	if err != nil {
		unknown("suspects", err)
	}
	for i := range balances {
		judgeBalance(list, &balances[i])
	}
	instances, err := s.Instances(ctx)
	if err != nil {
		unknown("instances", err)
	} else {
		judgeInstances(list, instances)
	}
	now := time.Now()
	stats, err := s.Stats(ctx, outbox.StatsQuery{From: now.Add(-24 * time.Hour), To: now, Step: time.Minute})
	if err != nil {
		unknown("how long jobs run", err)
		return paused
	}
	judgeRuns(list, stats, instances, now)
	return paused
}

// atLeast is a count that ends at a thousand.
func atLeast(n int) string {
	if n >= 1000 {
		return "1000+ jobs"
	}
	return jobCount(n)
}

func judgeBalance(list *findings, b *outbox.Balance) {
	if b.Refused > 0 {
		list.add(bad, aboutLedger, "mend the queue or the exchange, then: ackbox jobs run-now --state refused --queue "+b.Queue,
			"queue %s: %s refused by the broker for so long that it is not asked any more", b.Queue, jobCount(b.Refused))
	}
	for _, x := range b.Suspects {
		switch x.Why {
		case outbox.Orphaned:
			list.add(warn, aboutLedger, "see that a sweeper runs: it takes such jobs back", "queue %s: job %s is held by instance %s, which is silent or gone", b.Queue, x.ID, x.Holder)
		case outbox.Crashing:
			list.add(bad, aboutLedger, "ackbox jobs show "+x.ID+"; see whether it makes the process run out of memory",
				"queue %s: job %s (%s) was begun %d times without an outcome: it may end the processes that run it", b.Queue, x.ID, x.Kind, x.Starts)
		case outbox.Late, outbox.Adrift, outbox.Unroutable: // counted above, or compared by verify
		}
	}
}

func judgeInstances(list *findings, instances []outbox.Instance) {
	alive := make(map[string]int)
	for i := range instances {
		if instances[i].Alive {
			alive[instances[i].Role]++
		}
	}
	for i := range instances {
		x := &instances[i]
		name := fmt.Sprintf("%s on %s (process %d)", x.Role, x.Host, x.PID)
		switch {
		case !x.Alive && alive[x.Role] > 0: // others do its work
			list.add(note, aboutLedger, "", "%s has been silent since %s; others of its sort live", name, stamp(&x.SeenAt))
			continue
		case !x.Alive:
			list.add(warn, aboutLedger, "see whether its process lives, and reaches the database; a living sweeper takes its jobs back", "%s has been silent since %s", name, stamp(&x.SeenAt))
			continue
		}
		if x.Trouble != "" {
			list.add(bad, aboutLedger, "", "%s: %s", name, x.Trouble)
		}
		if x.Overdue > 0 {
			list.add(bad, aboutLedger, "its handlers ignore their context: take a goroutine dump, then restart it; the jobs run again", "%s: %d handlers have not returned long after their timeout", name, x.Overdue)
		}
	}
	for _, role := range []string{"dispatcher", "worker", "sweeper"} {
		if alive[role] == 0 {
			list.add(warn, aboutLedger, "start one", "no %s says that it lives", role)
			continue
		}
		list.add(good, aboutLedger, "", "alive: %d × %s", alive[role], role)
	}
}

// judgeRuns compares the longest run with the time after which RabbitMQ takes a delivery back.
func judgeRuns(list *findings, stats []outbox.Stat, instances []outbox.Instance, now time.Time) {
	var longest time.Duration
	for i := range stats {
		longest = max(longest, stats[i].Run.Quantile(1))
	}
	for i := range instances {
		for _, r := range instances[i].Running {
			longest = max(longest, now.Sub(r.Since))
		}
	}
	if longest > consumerTimeout*2/3 {
		list.add(warn, aboutLedger, "set consumer_timeout in rabbitmq.conf to more than twice the longest job's timeout, or split the job",
			"jobs run for up to %s; RabbitMQ's consumer_timeout, 30 minutes unless set, ends the channel of a delivery that takes longer", span(longest))
		return
	}
	if longest == 0 {
		list.add(note, aboutLedger, "", "no run of a job is on record since a day ago; RabbitMQ's consumer_timeout is 30 minutes unless set")
		return
	}
	list.add(good, aboutLedger, "", "no job ran for longer than %s in a day; RabbitMQ's consumer_timeout is 30 minutes unless set", span(longest))
}
