package orders_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/testenv/program"
)

// span is one as the example's exporter writes it, a line of JSON each.
type span struct {
	Name        string
	SpanContext struct{ TraceID, SpanID string }
	Parent      struct{ SpanID string }
	StartTime   time.Time
	EndTime     time.Time
	Attributes  []attribute
	Resource    []attribute
	Links       []struct{ SpanContext struct{ SpanID string } }
	Status      struct{ Code, Description string }
}

type attribute struct {
	Key   string
	Value struct{ Value any }
}

// get is the attribute of a name as text, empty if there is none.
func get(list []attribute, key string) string {
	for _, a := range list {
		if a.Key == key {
			return fmt.Sprint(a.Value.Value)
		}
	}
	return ""
}

// role is the part of the application that made s.
func (s span) role() string {
	role, _, _ := strings.Cut(get(s.Resource, "service.instance.id"), " ")
	return role
}

// what is s in a line, without its times.
func (s span) what() string {
	words := []string{s.role() + ":", s.Name}
	if kind := get(s.Attributes, "ackbox.job.kind"); kind != "" {
		words = append(words, kind)
	}
	if n := get(s.Attributes, "ackbox.job.attempt"); n != "" && n != "1" {
		words = append(words, "try", n)
	}
	if s.Status.Code == "Error" {
		words = append(words, "FAILED:", s.Status.Description)
	}
	return strings.Join(words, " ")
}

// spansOf reads the spans of the trace in which a job of that key was enqueued.
func (d *deployment) spansOf(t *testing.T, key string) (trace []span) {
	t.Helper()
	var all []span
	id := ""
	for _, file := range d.traces {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var s span
			if err := json.Unmarshal([]byte(line), &s); err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
			if get(s.Attributes, "ackbox.job.key") == key && strings.HasPrefix(s.Name, "create ") {
				id = s.SpanContext.TraceID
			}
		}
	}
	for _, s := range all {
		if s.SpanContext.TraceID == id {
			trace = append(trace, s)
		}
	}
	slices.SortFunc(trace, func(a, b span) int { return a.StartTime.Compare(b.StartTime) })
	return trace
}

// draw is the trace as a tree, a line for each span: with its times, or without.
func draw(trace []span, parent, indent string, times bool) (lines []string) {
	for _, s := range trace {
		if s.Parent.SpanID != parent {
			continue
		}
		line := indent + s.what()
		for _, link := range s.Links {
			for _, to := range trace {
				if to.SpanContext.SpanID == link.SpanContext.SpanID {
					line += " (links to try " + get(to.Attributes, "ackbox.job.attempt") + ")"
				}
			}
		}
		if times {
			at, took := s.StartTime.Sub(trace[0].StartTime), s.EndTime.Sub(s.StartTime)
			line = fmt.Sprintf("%9.1f ms %8.1f ms  %s", float64(at.Microseconds())/1000, float64(took.Microseconds())/1000, line)
		}
		lines = append(append(lines, line), draw(trace, s.SpanContext.SpanID, indent+"  ", times)...)
	}
	return lines
}

// From the request to the last call of a handler an order is one trace, over three
// processes; docs/observability.md shows one that this test has drawn (go test -v).
func TestOneOrderIsOneTrace(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	for _, p := range []*program.Process{d.web, d.dispatcher, d.worker} {
		p.Terminate() // which writes what is left to be told
	}
	const root = "0000000000000000"
	trace := d.spansOf(t, "order:3")
	t.Log("the order that cannot be confirmed:\n" + strings.Join(draw(trace, root, "", true), "\n"))
	const failed = " FAILED: the mail server refuses the customer's address"
	want := []string{
		"web: POST /orders",
		"  web: create orders order.confirm",
		"    dispatcher: send orders order.confirm",
		"    worker: process orders order.confirm" + failed,
		"    dispatcher: send orders order.confirm try 2",
		"    worker: process orders order.confirm try 2" + failed + " (links to try 1)",
		"    dispatcher: send orders order.confirm try 3",
		"    worker: process orders order.confirm try 3" + failed + " (links to try 2)",
		"    dispatcher: send orders order.confirm try 4",
		"    worker: process orders order.confirm try 4" + failed + " (links to try 3)",
		"    worker: give_up orders order.confirm try 4 (links to try 4)",
		"  web: create orders order.cancel_unpaid",
		"    dispatcher: send orders order.cancel_unpaid",
		"    worker: process orders order.cancel_unpaid",
		"  web: create orders.events:order.placed order.placed",
		"    dispatcher: send orders.events:order.placed order.placed",
	}
	if got := draw(trace, root, "", false); !slices.Equal(got, want) {
		t.Errorf("the trace is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
