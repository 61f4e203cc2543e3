package command

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// jobJSON is a job as programs are given it.
type jobJSON struct {
	ID             string                `json:"id"`
	State          ackbox.State          `json:"state"`
	Kind           string                `json:"kind"`
	Key            string                `json:"key,omitempty"`
	Queue          string                `json:"queue"`
	Exchange       string                `json:"exchange"`
	RoutingKey     string                `json:"routing_key"`
	Attempt        int                   `json:"attempt"`
	AttemptsBefore int                   `json:"attempts_before"`
	MaxAttempts    int                   `json:"max_attempts"`
	CreatedAt      time.Time             `json:"created_at"`
	DueAt          time.Time             `json:"due_at"`
	SentAt         *time.Time            `json:"sent_at,omitempty"`
	StartedAt      *time.Time            `json:"started_at,omitempty"`
	FinishedAt     *time.Time            `json:"finished_at,omitempty"`
	Holder         string                `json:"holder,omitempty"`
	LastError      string                `json:"last_error,omitempty"`
	History        []outbox.HistoryEntry `json:"history,omitempty"`
	PayloadBytes   int                   `json:"payload_bytes"`
	// What the application has said, only where it was asked for. A payload that is no JSON
	// comes as text, or as hex if it is neither.
	Payload    json.RawMessage   `json:"payload,omitempty"`
	PayloadHex string            `json:"payload_hex,omitempty"`
	Headers    map[string]string `json:"headers,omitempty"`
}

func asJSON(e *outbox.Entry, payload bool) jobJSON {
	j := jobJSON{
		ID: e.ID, State: e.State, Kind: e.Kind, Key: e.Key, Queue: e.Queue, Exchange: e.Exchange, RoutingKey: e.RoutingKey,
		Attempt: e.Attempt, AttemptsBefore: e.AttemptsBefore, MaxAttempts: e.MaxAttempts,
		CreatedAt: e.CreatedAt, DueAt: e.DueAt, SentAt: e.SentAt, StartedAt: e.StartedAt, FinishedAt: e.FinishedAt,
		Holder: e.Holder, LastError: e.LastError, History: e.History, PayloadBytes: len(e.Payload),
	}
	if payload {
		j.Headers = e.Headers
		if json.Valid(e.Payload) {
			j.Payload = e.Payload
		} else {
			j.PayloadHex = hex.EncodeToString(e.Payload)
		}
	}
	return j
}

// showJob prints one job whole.
func (a *app) showJob(e *outbox.Entry, payload bool) {
	line := func(name, value string) {
		if value != "" {
			a.printf("%-12s %s\n", name, clean(value))
		}
	}
	now := time.Now()
	line("job", e.ID)
	line("kind", e.Kind)
	line("key", e.Key)
	line("state", stateInWords(now, e))
	line("queue", e.Queue)
	if e.Exchange != "" || e.RoutingKey != e.Queue {
		line("exchange", dash(e.Exchange))
		line("routing key", dash(e.RoutingKey))
	}
	tries := strconv.Itoa(e.Attempt) + " of " + strconv.Itoa(e.AttemptsBefore+e.MaxAttempts)
	if e.AttemptsBefore > 0 {
		tries += ", " + strconv.Itoa(e.AttemptsBefore) + " of them before it was requeued"
	}
	line("try", tries)
	line("written", moment(now, &e.CreatedAt))
	line("due", moment(now, &e.DueAt))
	line("sent", moment(now, e.SentAt))
	line("started", moment(now, e.StartedAt))
	line("finished", moment(now, e.FinishedAt))
	line("instance", e.Holder)
	a.showHistory(e)
	if e.LastError != "" {
		a.printf("latest error\n%s", indented(e.LastError))
	}
	line("payload", strconv.Itoa(len(e.Payload))+" bytes")
	if payload {
		a.showPayload(e)
	}
}

func stateInWords(now time.Time, e *outbox.Entry) string {
	words := map[ackbox.State]string{
		ackbox.Pending:   "pending: a dispatcher publishes it once it is due",
		ackbox.Nacked:    "nacked: the broker has refused it, and will be asked again",
		ackbox.Refused:   "refused: the broker has refused it for too long; see 'ackbox doctor', then 'ackbox jobs run-now'",
		ackbox.Sent:      "sent: on the broker, or in a worker's hands",
		ackbox.Done:      "done",
		ackbox.Dead:      "dead: given up; 'ackbox jobs requeue " + e.ID + "' gives it all its tries again",
		ackbox.Cancelled: "cancelled",
	}
	switch {
	case e.State == ackbox.Sent && e.StartedAt != nil:
		return "sent: it runs since " + ago(now, *e.StartedAt)
	case e.State == ackbox.Pending && e.DueAt.After(now):
		return "pending: it is due " + ago(now, e.DueAt)
	}
	return words[e.State]
}

func moment(now time.Time, t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	if t.After(now) {
		return stamp(t) + "  " + ago(now, *t)
	}
	return stamp(t) + "  " + ago(now, *t) + " ago"
}

func (a *app) showHistory(e *outbox.Entry) {
	if len(e.History) == 0 {
		return
	}
	a.printf("history\n")
	for _, h := range e.History {
		words := []string{stamp(&h.At), "try " + strconv.Itoa(h.Attempt), string(h.What)}
		if h.Ran > 0 {
			words = append(words, "after "+span(h.Ran))
		}
		if h.By != "" {
			words = append(words, "by "+h.By)
		}
		text := strings.Join(words, "  ")
		if h.Error != "" {
			text += ": " + short(h.Error, 100)
		}
		a.printf("  %s\n", clean(text))
	}
}

func (a *app) showPayload(e *outbox.Entry) {
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		a.printf("  %s: %s\n", clean(name), clean(e.Headers[name]))
	}
	var pretty []byte
	if json.Valid(e.Payload) {
		var raw json.RawMessage = e.Payload
		pretty, _ = json.MarshalIndent(raw, "", "  ") // it is valid
	}
	switch {
	case pretty != nil:
		a.printf("%s", indented(string(pretty)))
	case utf8.Valid(e.Payload):
		a.printf("%s", indented(string(e.Payload)))
	default:
		a.printf("%s", indented(hex.Dump(e.Payload)))
	}
}

// indented is a text of many lines, as a terminal may be given it.
func indented(text string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		b.WriteString("  " + clean(strings.ReplaceAll(strings.TrimSuffix(line, "\r"), "\t", "    ")) + "\n")
	}
	return b.String()
}
