package worker

import (
	"context"
	"time"

	"github.com/ackbox/ackbox/internal/core"
)

// heartbeat tells the ledger that this worker lives, in a goroutine of its own,
// whatever handlers do.
type heartbeat struct {
	*shift
	began time.Time
	// spoken is when the ledger last heard it.
	spoken time.Time
	// sweeperSaid is when it was last told that nobody sweeps.
	sweeperSaid time.Time
}

const (
	// beatTimeout bounds one beat: a late one is better than none.
	beatTimeout = core.Silence / 3
	// leaveTimeout bounds the last word.
	leaveTimeout = 2 * time.Second
	// sweeperPatience is how long after its start a worker expects to hear of a
	// sweeper.
	sweeperPatience = time.Minute
	// sweeperNotice is how often the lack of one is told.
	sweeperNotice = 10 * time.Minute
)

// introduce waits until the ledger has said who it is and has heard of this worker,
// and reports false if ctx ended first. Nothing is taken in before: what a worker
// cannot tell for its own it would only keep from those that can, and one of whom
// nobody has heard would be taken for dead.
func (b *heartbeat) introduce(ctx context.Context) bool {
	b.began = time.Now()
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := b.identify(ctx)
		if err == nil {
			err = b.beat(ctx)
		}
		if err == nil || ctx.Err() != nil {
			return err == nil
		}
		if b.said.fresh("identity") {
			b.cfg.Logger.WarnContext(ctx, "worker: the ledger cannot be asked who it is, or be told that this worker lives; nothing is consumed until it can", "error", err)
		}
		if !sleep(ctx, jitter(pause)) {
			return false
		}
	}
}

func (b *heartbeat) identify(ctx context.Context) (err error) {
	if b.own != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	b.own, err = b.ledger.Identity(ctx)
	return err
}

// run beats until ctx ends.
func (b *heartbeat) run(ctx context.Context) {
	next := time.NewTicker(core.BeatInterval)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		err := b.beat(ctx)
		switch silence := time.Since(b.spoken); {
		case err == nil, ctx.Err() != nil:
		case b.said.fresh("beat"):
			b.cfg.Logger.WarnContext(ctx, "worker: the ledger cannot be told that this worker lives; if others can tell it so, its jobs will be taken over", "silent_for", silence.Round(time.Second), "error", err)
		}
	}
}

func (b *heartbeat) beat(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	census, err := b.ledger.Beat(bounded, b.self)
	if err != nil {
		return err
	}
	if !b.spoken.IsZero() && time.Since(b.spoken) >= core.Silence {
		b.hands.forgetRecords() // what was on record may have been taken back meanwhile
	}
	b.spoken = time.Now()
	b.missSweeper(ctx, census)
	return nil
}

// missSweeper says that there is no sweeper: without one a lost job stays lost, and
// a job of a dead worker stays with it.
func (b *heartbeat) missSweeper(ctx context.Context, census core.Census) {
	if census.Sweepers > 0 || time.Since(b.began) < sweeperPatience || time.Since(b.sweeperSaid) < sweeperNotice {
		return
	}
	b.sweeperSaid = time.Now()
	b.cfg.Logger.WarnContext(ctx, "worker: no sweeper has been heard of for a minute; without one (retry.NewSweeper) jobs of dead workers and lost messages are never sent again")
}

// leave ends the instance.
func (b *heartbeat) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := b.ledger.Leave(ctx, b.self.ID); err != nil {
		b.cfg.Logger.WarnContext(ctx, "worker: the ledger cannot be told that this worker has ended; it will be taken for dead instead", "error", err)
	}
}
