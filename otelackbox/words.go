package otelackbox

import (
	"sync"

	"go.opentelemetry.io/otel/trace"
)

// other is what all words are that came too late.
const other = "_OTHER"

// words bounds how many values an attribute takes: strangers choose the kinds of their
// messages. Safe for concurrent use.
type words struct {
	most  int
	known sync.Map
	mu    sync.Mutex
	n     int
}

// bounded is word, or other if there are too many already.
func (w *words) bounded(word string) string {
	if _, ok := w.known.Load(word); ok {
		return word
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n >= w.most {
		return other
	}
	if _, known := w.known.LoadOrStore(word, true); !known {
		w.n++
	}
	return word
}

// maxRecent is how many jobs' last runs are remembered, for links.
const maxRecent = 4096

// recent remembers the spans of runs that failed, for the next try to link to. The oldest
// are forgotten. Safe for concurrent use.
type recent struct {
	mu    sync.Mutex
	spans map[string]trace.SpanContext
	order [maxRecent]string
	next  int
}

// put remembers the span of a job's run.
func (r *recent) put(id string, span trace.SpanContext) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spans == nil {
		r.spans = make(map[string]trace.SpanContext)
	}
	if _, ok := r.spans[id]; !ok {
		delete(r.spans, r.order[r.next])
		r.order[r.next] = id
		r.next = (r.next + 1) % maxRecent
	}
	r.spans[id] = span
}

// get returns the span of a job's last run here, if it is remembered.
func (r *recent) get(id string) (trace.SpanContext, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	span, ok := r.spans[id]
	return span, ok
}
