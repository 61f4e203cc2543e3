package main

import (
	"context"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// memory is how much of it this process uses while something runs.
type memory struct {
	first, last, least, most float64 // heap in use, bytes
	peak                     float64 // resident, bytes; 0 where there is no /proc
}

// newMemory collects the garbage of what came before, and has the kernel
// forget the peak of it.
func newMemory() *memory {
	runtime.GC()
	// Where the kernel does not let us, the peak is the process's of all its life.
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
	m := &memory{first: heapInUse()}
	m.last, m.least, m.most = m.first, m.first, m.first
	return m
}

// watch looks each second until ctx ends, and then once more.
func (m *memory) watch(ctx context.Context) error {
	for going := true; going; {
		going = pause(ctx, time.Second)
		m.last = heapInUse()
		m.least, m.most = min(m.least, m.last), max(m.most, m.last)
	}
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		m.peak, _ = parsePeak(string(status))
	}
	return nil
}

// values are for after watch has returned.
func (m *memory) values() []value {
	mb := func(bytes float64) float64 { return bytes / 1e6 }
	return []value{
		{"heap_start_mb", mb(m.first)},
		{"heap_min_mb", mb(m.least)},
		{"heap_max_mb", mb(m.most)},
		{"heap_end_mb", mb(m.last)},
		{"vmhwm_mb", mb(m.peak)},
	}
}

// heapInUse is MemStats.HeapInuse, without stopping the world for it.
func heapInUse() float64 {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	metrics.Read(samples)
	sum := 0.0
	for _, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			sum += float64(s.Value.Uint64())
		}
	}
	return sum
}

// parsePeak reads VmHWM, the most memory that was resident, in bytes.
func parsePeak(status string) (bytes float64, ok bool) {
	for line := range strings.Lines(status) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return float64(kb) * 1024, err == nil
		}
	}
	return 0, false
}
