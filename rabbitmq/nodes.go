package rabbitmq

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
)

// nodes are the addresses of one broker as one slot tries them, in an order of
// the process's own, so that instances spread. Used by one build at a time.
type nodes struct {
	targets []target
	next    int
}

// shuffled returns targets in an order that another process has not.
func shuffled(targets []target) []target {
	targets = slices.Clone(targets)
	rand.Shuffle(len(targets), func(i, j int) { //nolint:gosec // no secret
		targets[i], targets[j] = targets[j], targets[i]
	})
	return targets
}

// connect tries each address once, beginning behind the one that was tried
// last: what was lost is not asked again before the others were.
func (n *nodes) connect(ctx context.Context, log *slog.Logger, open func(context.Context, target) (*generation, error)) (*generation, error) {
	var failed roundError
	for range n.targets {
		t := n.targets[n.next]
		n.next = (n.next + 1) % len(n.targets)
		g, err := open(ctx, t)
		if err == nil {
			if len(failed) > 0 {
				log.WarnContext(ctx, "rabbitmq: connected to another node", "node", t.display, "error", failed)
			}
			return g, nil
		}
		failed = append(failed, err)
		if ctx.Err() != nil {
			break // the others have had no chance
		}
	}
	if len(failed) == 1 {
		return nil, failed[0]
	}
	return nil, failed
}

// roundError is what every address of a round has answered.
type roundError []error

// Error implements error.
func (e roundError) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap implements the errors package's unwrapping.
func (e roundError) Unwrap() []error { return e }

// each reports whether all answers of a round, or the only one, are of a kind.
func each(err error, kind func(error) bool) bool {
	var round roundError
	if !errors.As(err, &round) {
		return kind(err)
	}
	return !slices.ContainsFunc(round, func(err error) bool { return !kind(err) })
}
