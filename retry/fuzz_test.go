package retry_test

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/robfig/cron/v3"

	"github.com/ackbox/ackbox/retry"
)

// comes reports what cron makes of a spec: whether it takes it at all, and
// whether its time ever comes.
func comes(spec string) (ok bool) {
	defer func() {
		if recover() != nil { // some specs make cron's parser panic
			ok = false
		}
	}()
	schedule, err := cron.ParseStandard(spec)
	return err == nil && !schedule.Next(time.Now()).IsZero()
}

// A Sweeper takes the specs that cron takes and whose time comes, and refuses
// all others by the field's name, without a panic.
func FuzzSpec(f *testing.F) {
	for _, seed := range []string{
		"", "* * * * *", "@every 5s", "@every -1s", "@every 1ns", "@every 9999999h", "@every", "@hourly", "@reboot", "@", "0 0 30 2 *", "0 0 29 2 *",
		"*/0 * * * *", "*/-1 * * * *", "60 * * * *", "1-0 * * * *", "5-3/0 * * * *", "? ? ? ? ?", "0 0 * JAN-DEC MON", "* * * * * *", "1,2,,3 * * * *",
		"TZ=Europe/Berlin 0 5 * * *", "TZ=", "TZ=/ * * * * *", "CRON_TZ=../../etc/passwd * * * * *", "TZ=\x00 * * * * *", "a\nb", "\xff",
		"1/18446744073709551615 * * * *", "99999999999999999999 * * * *", strings.Repeat("0,", 83) + "0 * * * *", strings.Repeat("*", 501),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		_, err := retry.NewSweeper(&store{}, waiting(nothingWaits), retry.Config{Purge: spec})
		want := spec == "" || comes(spec)
		if len(spec) > 500 || !utf8.ValidString(spec) || strings.ContainsFunc(spec, unicode.IsControl) {
			want = false // ours to refuse, whatever cron says
		}
		if (err == nil) != want {
			t.Errorf("%q: error %v, want one: %v", spec, err, !want)
		}
		if err != nil && (!strings.Contains(err.Error(), "Config.Purge") || len(err.Error()) > 2000 || !utf8.ValidString(err.Error())) {
			t.Errorf("%q: error %q", spec, err)
		}
	})
}

// Steps and Fixed wait what they were given, after any try.
func FuzzSteps(f *testing.F) {
	f.Add(int64(0), int64(time.Second), int64(time.Hour), 2)
	f.Add(int64(1<<63-1), int64(0), int64(1), -1<<63)
	f.Add(int64(-1), int64(-1<<63), int64(5), 1<<63-1)
	f.Fuzz(func(t *testing.T, a, b, c int64, attempt int) {
		waits := []time.Duration{time.Duration(a), time.Duration(b), time.Duration(c)}
		p, err := retry.Steps(waits...)
		if bad := a < 0 || b < 0 || c < 0; (err != nil) != bad {
			t.Fatalf("Steps(%v): error %v", waits, err)
		}
		if err == nil {
			want := waits[min(max(attempt, 1), 3)-1]
			waits[0], waits[1], waits[2] = -1, -1, -1 // the caller's slice is the caller's
			if got := p.Next(attempt); got != want {
				t.Errorf("after try %d it waits %v, want %v", attempt, got, want)
			}
		}
		fixed, err := retry.Fixed(time.Duration(a))
		if (err != nil) != (a < 0) {
			t.Fatalf("Fixed(%v): error %v", a, err)
		}
		if err == nil && fixed.Next(attempt) != time.Duration(a) {
			t.Errorf("after try %d it waits %v, want %v", attempt, fixed.Next(attempt), a)
		}
	})
}
