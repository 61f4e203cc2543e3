package worker

import (
	"context"
	"time"

	"github.com/ackbox/ackbox/internal/beat"
	"github.com/ackbox/ackbox/internal/core"
)

// heartbeat tells the ledger that this worker lives, in a goroutine of its own,
// whatever handlers do.
type heartbeat struct {
	*shift
	began time.Time
	// sweeperSaid is when it was last told that nobody sweeps.
	sweeperSaid time.Time
}

const (
	// leaveTimeout bounds the last words to the ledger.
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
			var heard beat.Heard
			if heard, err = b.heart.Beat(ctx); err == nil {
				b.pause(ctx, heard.Paused)
				return true
			}
		}
		if ctx.Err() != nil {
			return false
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
	b.heart.Run(ctx, func(ctx context.Context, heard beat.Heard, err error) {
		silence, _ := b.heart.Silence()
		switch {
		case err == nil:
			b.heard(ctx, heard)
		case b.said.fresh("beat"):
			b.cfg.Logger.WarnContext(ctx, "worker: the ledger cannot be told that this worker lives; if others can tell it so, its jobs will be taken over", "silent_for", silence.Round(time.Second), "error", err)
		}
	})
}

func (b *heartbeat) heard(ctx context.Context, heard beat.Heard) {
	if heard.After >= core.Silence {
		b.hands.forgetRecords() // what was on record may have been taken back meanwhile
	}
	b.pause(ctx, heard.Paused)
	b.missSweeper(ctx, heard.Census)
	b.unwritten(ctx, heard.Unwritten)
}

// unwritten tells that statistics cannot be written: nothing rests on them.
func (b *heartbeat) unwritten(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil && b.said.fresh("stats") {
		b.cfg.Logger.WarnContext(ctx, "worker: statistics cannot be written; they are kept for the next time", "error", err)
	}
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

// writeLast writes what was counted to the end.
func (b *heartbeat) writeLast(ctx context.Context) {
	if err := b.heart.WriteLast(ctx); err != nil {
		b.cfg.Logger.WarnContext(ctx, "worker: the last statistics cannot be written; they are lost if no other part of this process writes them", "error", err)
	}
}

// leave ends the instance.
func (b *heartbeat) leave(ctx context.Context) {
	if err := b.heart.Leave(ctx); err != nil {
		b.cfg.Logger.WarnContext(ctx, "worker: the ledger cannot be told that this worker has ended; it will be taken for dead instead", "error", err)
	}
}
