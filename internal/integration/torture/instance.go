//go:build unix

package torture

import (
	"fmt"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/integration/site"
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
