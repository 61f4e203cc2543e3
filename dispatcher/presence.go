package dispatcher

import (
	"context"
	"time"

	"github.com/ackbox/ackbox/internal/beat"
	"github.com/ackbox/ackbox/internal/core"
)

// presence tells the ledger, for people and for whoever else runs there, that this
// dispatcher lives. It holds no job: if nobody hears it nothing is taken from it.
type presence struct {
	*Dispatcher
	heart *beat.Heart
	said  map[string]time.Time // when which failure was last told
}

// presenceNotice is how often the same failure is told.
const presenceNotice = time.Minute

func newPresence(d *Dispatcher) *presence {
	p := &presence{Dispatcher: d, heart: beat.New(d.outbox, core.RoleDispatcher, nil, d.detail), said: make(map[string]time.Time)}
	p.heart.Stats = d.outbox
	return p
}

// run beats until ctx ends, and then says so.
func (p *presence) run(ctx context.Context) {
	heard, err := p.heart.Beat(ctx)
	p.heard(ctx, heard, err)
	p.heart.Run(ctx, p.heard)
	if err := p.heart.Leave(ctx); err != nil {
		p.cfg.Logger.WarnContext(ctx, "dispatcher: the ledger cannot be told that this dispatcher has ended; it is shown as silent instead", "error", err)
	}
}

func (p *presence) heard(ctx context.Context, heard beat.Heard, err error) {
	p.tell(ctx, "the ledger cannot be told that this dispatcher lives", err)
	p.tell(ctx, "statistics cannot be written", heard.Unwritten)
}

// tell tells of a failure that nothing rests on.
func (p *presence) tell(ctx context.Context, what string, err error) {
	if last, told := p.said[what]; err == nil || ctx.Err() != nil || told && time.Since(last) < presenceNotice {
		return
	}
	p.said[what] = time.Now()
	p.cfg.Logger.WarnContext(ctx, "dispatcher: "+what+"; trying again", "error", err) //nolint:sloglint // its callers pass constants
}

// writeLast writes what was counted to the end.
func (p *presence) writeLast(ctx context.Context) {
	if err := p.heart.WriteLast(ctx); err != nil {
		p.cfg.Logger.WarnContext(ctx, "dispatcher: the last statistics cannot be written; they are lost if no other part of this process writes them", "error", err)
	}
}

// detail is what people are shown of this dispatcher.
func (d *Dispatcher) detail(ctx context.Context) core.Detail {
	return core.Detail{Trouble: d.ailment(ctx)}
}
