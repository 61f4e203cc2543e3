package dashboard

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// attention is something that somebody should look at: what is so, and what to do.
type attention struct {
	// Level is "bad" where work stands still or is lost to people, "warn" where it may
	// come to that, "info" of what somebody has decided.
	Level string `json:"level"`
	Title string `json:"title"`
	Text  string `json:"text,omitempty"`
	Todo  string `json:"todo"`
	// Link leads to where it can be mended, from the first page on.
	Link     template.URL `json:"link,omitempty"`
	LinkText string       `json:"-"`
}

// situation is what is known of the whole, as far as it could be read.
type situation struct {
	now       time.Time
	late      time.Duration
	queues    []outbox.QueueStatus
	instances []outbox.Instance
	// givenUp are the groups of the last hour.
	givenUp []groupLine
	broker  *ackbox.Health
}

// attend lists what needs somebody, the worst first.
func (s situation) attend() []attention {
	var all []attention
	if s.broker != nil && !s.broker.Ready {
		all = append(all, attention{
			Level: "bad", Title: "The broker is away", Text: s.broker.Why,
			Todo: "Nothing is lost: jobs wait in the table and go out at full speed when it is back. Look at the broker and the network before it.",
		})
	}
	all = append(all, s.nobody()...)
	for _, q := range s.queues {
		all = append(all, s.queue(q)...)
	}
	all = append(all, s.deaths()...)
	for _, i := range s.instances {
		all = append(all, s.instance(i)...)
	}
	slices.SortStableFunc(all, func(a, b attention) int { return cmp.Compare(severity[a.Level], severity[b.Level]) })
	return all
}

var severity = map[string]int{"bad": 0, "warn": 1, "info": 2}

func (s situation) alive(role string) int {
	n := 0
	for _, i := range s.instances {
		if i.Role == role && i.Alive {
			n++
		}
	}
	return n
}

// nobody names the loops of which none is alive, where there is work for them.
func (s situation) nobody() []attention {
	if len(s.queues) == 0 {
		return nil
	}
	due, sent := 0, 0
	for _, q := range s.queues {
		due += q.Due.N
		sent += q.Sent.N
	}
	var all []attention
	if due > 0 && s.alive("dispatcher") == 0 && s.knows("dispatcher") {
		all = append(all, attention{
			Level: "bad", Title: "No dispatcher is alive", Text: plural(int64(due), "due job waits", "due jobs wait") + " in the table.",
			Todo: "Start one: nothing is sent to the broker until then.", Link: "instances", LinkText: "Instances",
		})
	}
	if s.knows("sweeper") && s.alive("sweeper") == 0 {
		all = append(all, attention{
			Level: "warn", Title: "No sweeper is alive",
			Todo: "Start one: without it nothing that the broker refused is tried again, what is lost is not sent again, and bulk operations stand still.",
			Link: "instances", LinkText: "Instances",
		})
	}
	return all
}

// knows reports whether any instance of a role is on record: older ones write no word.
func (s situation) knows(role string) bool {
	return slices.ContainsFunc(s.instances, func(i outbox.Instance) bool { return i.Role == role })
}

func (s situation) queue(q outbox.QueueStatus) []attention {
	var all []attention
	name := cmp.Or(visible(q.Queue), "events")
	late := !q.OldestDue.IsZero() && s.now.Sub(q.OldestDue) >= s.late
	switch {
	case q.Paused != nil:
		p := attention{
			Level: "info", Title: name + " is paused",
			Text: "By " + cmp.Or(visible(q.Paused.By), "somebody") + ", " + ago(s.now, q.Paused.At) + reason(q.Paused.Reason) + ".",
			Todo: "Resume it when the reason is gone.", Link: "queues", LinkText: "Queues",
		}
		if late && q.Due.N > 0 {
			p.Text += " " + count(q.Due) + " due, the oldest for " + span(s.now.Sub(q.OldestDue)) + "."
		}
		all = append(all, p)
	case late:
		all = append(all, attention{
			Level: "bad", Title: name + " is late",
			Text: "The oldest due job has waited " + span(s.now.Sub(q.OldestDue)) + " to be sent; " + "due now: " + count(q.Due) + ".",
			Todo: s.whyLate(), Link: "jobs?" + query("state", "pending", "q", "queue:"+quoted(q.Queue)), LinkText: "The jobs",
		})
	}
	if !q.OldestSent.IsZero() && q.Consumers > 0 && q.Paused == nil && s.now.Sub(q.OldestSent) >= 10*s.late {
		all = append(all, attention{
			Level: "warn", Title: "Workers do not keep up with " + name,
			Text: "The oldest message has waited " + span(s.now.Sub(q.OldestSent)) + " at the broker.",
			Todo: "Give the queue more slots or workers, or see why its jobs take so long.", Link: "instances", LinkText: "Instances",
		})
	}
	if q.Queue != "" && q.Consumers == 0 && q.Sent.N > 0 && q.Paused == nil {
		all = append(all, attention{
			Level: "bad", Title: "Nobody consumes " + name, Text: plural(int64(q.Sent.N), "job is", "jobs are") + " on the broker and no living worker takes them.",
			Todo: "Start a worker of this queue, or see why it is silent.", Link: "instances", LinkText: "Instances",
		})
	}
	if q.Refused.N > 0 {
		all = append(all, attention{
			Level: "bad", Title: "The broker refuses jobs of " + name, Text: count(q.Refused) + " were not taken.",
			Todo: "Read the error of one: a full queue wants consumers or room; a missing queue or exchange wants to be declared. They go out by themselves when it does.",
			Link: "jobs?" + query("state", "nacked", "q", "queue:"+quoted(q.Queue)), LinkText: "The jobs",
		})
	}
	return all
}

func (s situation) whyLate() string {
	if s.broker != nil && !s.broker.Ready {
		return "The broker is away, see above: they go out when it is back."
	}
	for _, i := range s.instances {
		if i.Role == "dispatcher" && i.Alive && i.Trouble != "" {
			return "A dispatcher says: " + visible(i.Trouble) + "."
		}
	}
	switch {
	case s.knows("dispatcher") && s.alive("dispatcher") == 0:
		return "No dispatcher is alive: start one."
	case s.alive("dispatcher") > 0:
		return "A dispatcher is alive. If the backlog does not shrink, the broker is slow to confirm, or the queue stands still there: the dispatcher's log says which."
	}
	return "Is a dispatcher alive, and does it reach the broker? Its log says what stands still."
}

func reason(s string) string {
	if s == "" {
		return ""
	}
	return ": " + visible(s)
}

// maxDeaths is how many groups the first page names.
const maxDeaths = 5

func (s situation) deaths() []attention {
	var all []attention
	for i, g := range s.givenUp {
		if i == maxDeaths {
			all = append(all, attention{
				Level: "bad", Title: plural(int64(len(s.givenUp)-i), "more reason", "more reasons") + " to give up jobs in the last hour",
				Todo: "See them all.", Link: "given-up", LinkText: "Given up",
			})
			break
		}
		all = append(all, attention{
			Level: "bad", Title: plural(int64(g.N), "job", "jobs") + " of " + g.Kind + " given up in the last hour",
			Text: cmp.Or(firstLine(g.Error), "No error is on record."),
			Todo: "Read the error; when its cause is gone, requeue the group.",
			Link: "jobs?" + g.Query(), LinkText: "The jobs",
		})
	}
	return all
}

func (s situation) instance(i outbox.Instance) []attention {
	var all []attention
	name := visible(fmt.Sprintf("%s on %s (pid %d)", i.Role, i.Host, i.PID))
	switch {
	case !i.Alive:
		return []attention{{
			Level: "warn", Title: strings.ToUpper(name[:1]) + name[1:] + " is silent", Text: "Last heard of " + ago(s.now, i.SeenAt) + ".",
			Todo: "It was killed, is frozen, or cannot reach the database. What it held is sent again by itself; see whether it should be running.",
			Link: "instances", LinkText: "Instances",
		}}
	case i.Overdue > 0:
		all = append(all, attention{
			Level: "bad", Title: plural(int64(i.Overdue), "handler does", "handlers do") + " not return", Text: "Of the " + name + ".",
			Todo: "They run long after their timeout and take a slot each: see which, mend the handler, and restart that process.",
			Link: "instances", LinkText: "Instances",
		})
	}
	if i.Trouble != "" {
		all = append(all, attention{
			Level: "warn", Title: "Trouble at the " + name, Text: visible(i.Trouble),
			Todo: "See that process's log.", Link: "instances", LinkText: "Instances",
		})
	}
	return all
}
