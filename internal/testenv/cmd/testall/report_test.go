//go:build unix

package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// play feeds events, written as action|test|output of package "p", to a report.
func play(t *testing.T, goTest error, events ...string) (string, error) {
	t.Helper()
	var in, out bytes.Buffer
	for _, e := range events {
		f := strings.Split(e, "|")
		if len(f) != 3 {
			in.WriteString(e + "\n")
			continue
		}
		in.WriteString(`{"Action":"` + f[0] + `","Package":"p","Test":"` + f[1] + `","Output":"` + f[2] + `"}` + "\n")
	}
	r := newReport(&out)
	if err := r.read(&in); err != nil {
		t.Fatal(err)
	}
	err := r.finish(goTest)
	return out.String(), err
}

func TestReport(t *testing.T) {
	t.Parallel()
	exit := errors.New("exit status 1")
	for name, tc := range map[string]struct {
		goTest error
		events []string
		shows  []string
		hides  []string
		fails  bool
	}{
		"passed": {
			events: []string{"output|TestA|chatter", "pass|TestA|", "pass|TestA/sub|", "pass||"},
			shows:  []string{"ok    p", "2 tests", "tests: 2 passed, 0 failed, 0 skipped"},
			hides:  []string{"chatter"},
		},
		"failed": {
			goTest: exit,
			events: []string{"output|TestA|=== RUN\\n", "output|TestA|the reason\\n", "fail|TestA|", "output|TestB|chatter", "pass|TestB|", "fail||"},
			shows:  []string{"FAIL  p", "the reason", "tests: 1 passed, 1 failed"},
			hides:  []string{"chatter", "=== RUN"},
			fails:  true,
		},
		"died while a test ran": {
			goTest: exit,
			events: []string{"run|TestA|", "output|TestA|panic: oh\\n", "fail||"},
			shows:  []string{"panic: oh", "0 passed, 1 failed"},
			fails:  true,
		},
		"failed outside its tests": {
			goTest: exit,
			events: []string{"pass|TestA|", "output||goleak: found\\n", "fail||"},
			shows:  []string{"goleak: found", "1 passed, 1 failed"},
			fails:  true,
		},
		"not built": {
			goTest: exit,
			events: []string{`{"Action":"build-output","ImportPath":"p","Output":"x.go:1: undefined\n"}`, "fail||"},
			shows:  []string{"x.go:1: undefined", "0 passed, 1 failed"},
			fails:  true,
		},
		"skipped": {
			events: []string{"output|TestA|no server here\\n", "skip|TestA|", "pass|TestB|", "pass||"},
			shows:  []string{"no server here", "1 passed, 0 failed, 1 skipped"},
			fails:  true,
		},
		"nothing to run": {
			events: []string{"skip||"},
			shows:  []string{"no tests", "0 passed, 0 failed"},
			fails:  true,
		},
		"the go command's own words": {
			goTest: exit,
			events: []string{"go: cannot find main module"},
			shows:  []string{"go: cannot find main module"},
			fails:  true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := play(t, tc.goTest, tc.events...)
			if (err != nil) != tc.fails {
				t.Errorf("finish: %v, want failure: %v", err, tc.fails)
			}
			for _, s := range tc.shows {
				if !strings.Contains(out, s) {
					t.Errorf("the report does not show %q:\n%s", s, out)
				}
			}
			for _, s := range tc.hides {
				if strings.Contains(out, s) {
					t.Errorf("the report shows %q:\n%s", s, out)
				}
			}
		})
	}
}
