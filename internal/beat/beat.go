// Package beat is how a loop tells the ledger that it is alive: the same for dispatcher,
// worker and sweeper.
package beat

import (
	"context"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/ackbox/ackbox/internal/core"
)

// Ledger is told.
type Ledger interface {
	// Beat says that an instance lives, and learns who else does.
	Beat(ctx context.Context, self core.Instance) (core.Census, error)
	// Leave says that it has ended.
	Leave(ctx context.Context, id string) error
}

// Stats is a [Ledger] to which something is counted, and that writes it down now and then.
type Stats interface {
	// WriteStats writes what was counted if it is time, or if all is true.
	WriteStats(ctx context.Context, all bool) error
}

// Heart beats for one Run of a loop. Safe for concurrent use.
type Heart struct {
	ledger Ledger
	self   core.Instance
	detail func(context.Context) core.Detail
	// spoken is when the ledger last heard it, in nanoseconds since began; 0 before.
	spoken atomic.Int64
	began  time.Time
	// Stats, if it is set, is given a chance to write after each beat of Run.
	Stats Stats
}

// New returns the heart of a new instance. detail, unless it is nil, is called for each
// beat: what it returns gets the build's version added.
func New(ledger Ledger, role string, queues []string, detail func(context.Context) core.Detail) *Heart {
	host, _ := os.Hostname() // for people: nothing depends on it
	return &Heart{
		ledger: ledger,
		self:   core.Instance{ID: uuid.NewString(), Role: role, Host: host, PID: os.Getpid(), Queues: queues},
		detail: detail,
		began:  time.Now(),
	}
}

// ID is the instance's.
func (h *Heart) ID() string { return h.self.ID }

// Self is what a beat says of the instance now.
func (h *Heart) Self(ctx context.Context) core.Instance {
	self := h.self
	if h.detail != nil {
		self.Detail = h.detail(ctx)
	}
	self.Detail.Version = version()
	return self
}

// timeout bounds one beat: a late one is better than none.
const timeout = core.Silence / 3

// Heard is what a beat that came through has brought.
type Heard struct {
	core.Census
	// After is for how long the ledger had not heard the instance; 0 for its first beat.
	After time.Duration
	// Unwritten is why statistics could not be written.
	Unwritten error
}

// Beat beats once.
func (h *Heart) Beat(ctx context.Context) (Heard, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	census, err := h.ledger.Beat(ctx, h.Self(ctx))
	if err != nil {
		return Heard{}, err
	}
	now := max(1, time.Since(h.began))
	heard := Heard{Census: census}
	if before := h.spoken.Swap(int64(now)); before > 0 {
		heard.After = now - time.Duration(before)
	}
	return heard, nil
}

// Run beats every core.BeatInterval until ctx ends, and calls heard with what came of it,
// but not any more when ctx has ended.
func (h *Heart) Run(ctx context.Context, heard func(context.Context, Heard, error)) {
	next := time.NewTicker(core.BeatInterval)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		of, err := h.Beat(ctx)
		if err == nil && h.Stats != nil {
			of.Unwritten = h.Stats.WriteStats(ctx, false)
		}
		if ctx.Err() == nil {
			heard(ctx, of, err)
		}
	}
}

// Silence is for how long the ledger has not heard it. heard is false of one that it has
// never heard: then it is the time since New.
func (h *Heart) Silence() (silence time.Duration, heard bool) {
	spoken := h.spoken.Load()
	return time.Since(h.began) - time.Duration(spoken), spoken > 0
}

// leaveTimeout bounds each of the last words.
const leaveTimeout = 2 * time.Second

// WriteLast writes, though ctx may have ended, what was counted to the end.
func (h *Heart) WriteLast(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	return h.Stats.WriteStats(ctx, true)
}

// Leave says, though ctx may have ended, that the instance has ended.
func (h *Heart) Leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	return h.ledger.Leave(ctx, h.self.ID)
}

// version is the program's, as Go has stamped it: that of its module, or else the commit.
var version = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return info.Main.Version
})
