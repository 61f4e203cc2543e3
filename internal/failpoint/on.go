//go:build ackbox_failpoints && unix

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Enabled reports whether this build has failpoints.
const Enabled = true

// trap is what happens at a point.
type trap struct {
	signal syscall.Signal
	at     int64 // the hit that springs it
	hits   atomic.Int64
}

var traps = sync.OnceValue(func() map[Point]*trap {
	set, err := parse(os.Getenv(Variable))
	if err != nil {
		panic(err) // a test that kills nothing must not look like one that did
	}
	return set
})

// Hit notes that p has come, and kills or stops the process if that was asked
// for. Safe for concurrent use.
func Hit(p Point) {
	t := traps()[p]
	if t == nil || t.hits.Add(1) != t.at {
		return
	}
	if err := syscall.Kill(os.Getpid(), t.signal); err != nil {
		panic(err)
	}
	if t.signal == syscall.SIGKILL {
		select {} // the signal may take a moment, in which nothing more happens
	}
	// The stop may take a moment as well; time does not pass while stopped.
	time.Sleep(50 * time.Millisecond)
}

func parse(list string) (map[Point]*trap, error) {
	set := make(map[Point]*trap)
	for entry := range strings.SplitSeq(list, ",") {
		if entry == "" {
			continue
		}
		name, action, _ := strings.Cut(entry, "=")
		verb, count, _ := strings.Cut(action, ":")
		n, err := strconv.ParseInt(count, 10, 64)
		signals := map[string]syscall.Signal{"kill": syscall.SIGKILL, "stop": syscall.SIGSTOP}
		if signals[verb] == 0 || err != nil || n < 1 {
			return nil, fmt.Errorf("failpoint: %s has %q: want point=kill:n or point=stop:n with n from 1", Variable, entry)
		}
		set[Point(name)] = &trap{signal: signals[verb], at: n}
	}
	return set, nil
}
