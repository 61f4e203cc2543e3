//go:build unix

package torture

import (
	"context"
	"fmt"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/integration/site"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// instance is a process of the shop that is started again and again.
type instance struct {
	shopd   string
	cfg     shop.Config
	process *site.Process
	// longest are the reports of its longest life.
	longest []shop.Report
}

// start starts the instance, with traps or, as a rule, without.
func (i *instance) start(traps ...string) (err error) {
	i.remember()
	i.process, err = site.Start(i.shopd, i.cfg, traps...)
	if err != nil {
		return fmt.Errorf("start %s: %w", i.cfg.Name, err)
	}
	return nil
}

// up waits until it has told something of itself: before that a SIGTERM would find a
// program that does not listen for it yet.
func (i *instance) up(ctx context.Context) error {
	return servers.Until(ctx, func(context.Context) error {
		if len(i.process.Reports()) == 0 {
			return fmt.Errorf("torture: %s does not come up", i.cfg.Name)
		}
		return nil
	})
}

// stop ends it, if it runs.
func (i *instance) stop() {
	if i.process != nil {
		i.process.Kill()
		i.remember()
	}
}

func (i *instance) remember() {
	if i.process == nil {
		return
	}
	if reports := i.process.Reports(); len(reports) > len(i.longest) {
		i.longest = reports
	}
}
