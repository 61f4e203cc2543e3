package shop

import (
	"runtime"

	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/internal/failpoint"
	"github.com/ackbox/ackbox/worker"
)

// Report is what an instance tells about itself.
type Report struct {
	// Failpoints reports that this build can be killed at named moments.
	Failpoints bool
	// LiveHeap is what the last garbage collection found in use, in bytes.
	LiveHeap   uint64
	Goroutines int
	Dispatcher dispatcher.Stats
	Worker     worker.Stats
}

// Report returns the instance's present state.
func (a *App) Report() Report {
	var m runtime.MemStats
	runtime.GC() // small and once a second: what is left is what is held
	runtime.ReadMemStats(&m)
	r := Report{
		Failpoints: failpoint.Enabled, LiveHeap: m.HeapAlloc, Goroutines: runtime.NumGoroutine(),
		Dispatcher: a.Dispatcher.Stats(),
	}
	if a.Worker != nil {
		r.Worker = a.Worker.Stats()
	}
	return r
}
