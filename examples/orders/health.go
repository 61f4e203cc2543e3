package main

import (
	"net/http"
	"slices"

	"github.com/ackbox/ackbox"
)

// state is how the parts of this process are, whichever its role has.
type state struct {
	parts []ackbox.HealthChecker
	// needs names those without which this process is of no use to who calls it. Orders
	// are taken while the broker is away: it must not take the web role out of service.
	needs []string
}

// live answers 503 if only a restart can mend a part: for a liveness probe.
func (s *state) live(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, func(h ackbox.Health) bool { return h.Live })
}

// ready answers 503 while a part that is needed can do nothing: for a readiness probe.
func (s *state) ready(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, func(h ackbox.Health) bool { return h.Ready || !slices.Contains(s.needs, h.Part) })
}

// answer says how each part is, and whether all are well.
func (s *state) answer(w http.ResponseWriter, r *http.Request, well func(ackbox.Health) bool) {
	status, all := http.StatusOK, make([]ackbox.Health, 0, len(s.parts))
	for _, part := range s.parts {
		h := part.Health(r.Context())
		all = append(all, h)
		if !well(h) {
			status = http.StatusServiceUnavailable
		}
	}
	reply(w, status, all)
}
