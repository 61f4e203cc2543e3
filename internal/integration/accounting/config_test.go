//go:build unix

package accounting_test

import (
	"time"

	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/worker"
)

// ackSoon has no message stay unacknowledged for long.
func ackSoon(cfg *worker.Config) { cfg.AckWithin = 3 * time.Second }

// refuseSoon gives a queue that takes nothing little time.
func refuseSoon(cfg *dispatcher.Config) { cfg.RefusalLimit = time.Second }
