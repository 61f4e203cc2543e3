package worker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ackbox/ackbox/internal/core"
)

// keeper has on record in the ledger what this worker holds for long, and lets no
// message stay unacknowledged for longer than Config.AckWithin.
type keeper struct {
	*shift
	outcomes *outcomes
	kick     <-chan struct{}
	parking  errgroup.Group // of messages without a row
}

const (
	// holdAfter is how long a delivery may wait, or run, before the ledger is told:
	// most are done by then and cost nothing. It is how often the keeper looks, too.
	holdAfter = time.Second
	// reconcileInterval is how often the ledger is told what is in hand at all.
	reconcileInterval = 30 * time.Second
	// maxParking bounds how many messages without a row are put aside at once.
	maxParking = 16
)

// run looks after what is in hand until ctx ends.
func (k *keeper) run(ctx context.Context) {
	k.parking.SetLimit(maxParking)
	defer func() { _ = k.parking.Wait() }() // its calls return nil
	look := time.NewTicker(holdAfter)
	defer look.Stop()
	all := time.NewTicker(reconcileInterval)
	defer all.Stop()
	for {
		select {
		case <-ctx.Done():
			// What went back to the queue was here until now.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
			defer cancel()
			k.hold(last)
			return
		case <-all.C:
			k.reconcile(ctx)
			continue
		case <-look.C:
			k.hold(ctx)
		case <-k.kick:
			k.hold(ctx)
			sleep(ctx, minPause) // the least time between two of these
		}
		k.relieve(ctx)
	}
}

// held is a delivery of which the ledger is to hear; hand is nil if it went back.
type held struct {
	hand *hand
	core.Holding
}

// toHold returns what the ledger has to hear of: what has waited or run for a while,
// what came back to a queue and waits here now, and what went back to one.
func (s *hands) toHold(own string) (list []held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, h := range s.jobs {
		if h.Ledger != own {
			continue
		}
		waits := h.begun.IsZero() && h.record < asWaiting && (returned(h.Delivery) || now.Sub(h.taken) >= holdAfter)
		runs := !h.begun.IsZero() && h.record < asRunning && now.Sub(h.begun) >= holdAfter
		if waits || runs {
			list = append(list, held{h, h.asHolding(now)})
		}
	}
	for _, holding := range s.returned {
		list = append(list, held{nil, holding})
	}
	clear(s.returned)
	return list
}

func (k *keeper) hold(ctx context.Context) {
	for list := range slices.Chunk(k.hands.toHold(k.own), maxStarts) {
		holdings := make([]core.Holding, len(list))
		for i, one := range list {
			holdings[i] = one.Holding
		}
		verdicts, err := k.ask(ctx, holdings)
		if err != nil {
			if ctx.Err() == nil && k.said.fresh("hold") {
				k.cfg.Logger.WarnContext(ctx, "worker: the ledger cannot be told what is in hand; trying again", "jobs", len(list), "error", err)
			}
			return
		}
		for i, one := range list {
			if one.hand != nil {
				k.heard(ctx, one, verdicts[i])
			}
		}
	}
}

func (k *keeper) ask(ctx context.Context, holdings []core.Holding) ([]core.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	verdicts, err := k.ledger.Hold(ctx, k.heart.ID(), holdings)
	if err == nil && len(verdicts) != len(holdings) {
		err = fmt.Errorf("worker: the ledger returned %d verdicts for %d jobs", len(verdicts), len(holdings))
	}
	return verdicts, err
}

// heard notes the ledger's answer. What it does not want run is dropped, unless it
// runs already: then its outcome will be judged.
func (k *keeper) heard(ctx context.Context, one held, verdict core.Verdict) {
	switch verdict {
	case core.Busy:
	case core.Recorded:
		if one.Running > 0 {
			one.hand.recorded(asRunning)
		} else {
			one.hand.recorded(asWaiting)
		}
	default:
		if one.hand.line.remove(one.hand) {
			k.outcomes.drop(ctx, one.hand, verdict)
		} else if verdict != core.Held {
			one.hand.recorded(beyondRecords)
		}
	}
}

func (k *keeper) reconcile(ctx context.Context) {
	var ids []string
	for _, h := range k.hands.snapshot() {
		if h.Ledger == k.own {
			ids = append(ids, h.ID)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	if err := k.ledger.Reconcile(ctx, k.heart.ID(), ids); err != nil && k.said.fresh("reconcile") {
		k.cfg.Logger.WarnContext(ctx, "worker: the ledger cannot be told what is no longer in hand; trying again", "error", err)
	}
}

// relieve sees to messages that are in hand for long. One whose job runs is
// acknowledged, since the ledger has the job; one that waits goes back to the ledger
// or, if no row stands behind it, is replaced by a copy. What neither has a row nor
// waits stays.
func (k *keeper) relieve(ctx context.Context) {
	now := time.Now()
	var newer []core.Receipt
	late := k.hands.those(func(h *hand) bool {
		if len(h.newer) > 0 && now.Sub(h.joined) >= k.cfg.AckWithin {
			newer, h.newer = append(newer, h.newer...), nil
		}
		return len(h.copies) > 0 && (h.alone || needsRenewal(h) || now.Sub(h.taken) >= k.cfg.AckWithin)
	})
	giveBackAll(newer) // it comes again: what runs here may be superseded, or not
	for _, h := range late {
		switch {
		case h.Ledger != "" && h.isOnRecord():
			relieve(h)
		case h.Ledger == k.own && h.line.remove(h):
			k.outcomes.putOff(ctx, h, 0, "")
		case h.Ledger == "" && h.waits():
			k.parking.TryGo(func() error {
				if h.line.remove(h) {
					k.park(ctx, h)
				}
				return nil
			})
		}
	}
}

func (k *keeper) park(ctx context.Context, h *hand) {
	if needsRenewal(h) {
		k.outcomes.renew(ctx, h)
		return
	}
	k.outcomes.putOff(ctx, h, 0, "")
}

// isOnRecord reports whether the ledger knows that h runs here.
func (h *hand) isOnRecord() bool {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	return h.record == asRunning
}

// waits reports whether no handler was called for h yet.
func (h *hand) waits() bool {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	return h.begun.IsZero()
}
