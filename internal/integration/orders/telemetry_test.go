package orders_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/internal/testenv/program"
)

// deployment is the example in three roles, with the files of their spans.
type deployment struct {
	web, dispatcher, worker *program.Process
	traces                  []string
}

// deploy starts the roles and has three orders done, of which one cannot be confirmed.
func deploy(t *testing.T) *deployment {
	t.Helper()
	d, dir, dsn := &deployment{}, t.TempDir(), testenv.DatabaseURL(t)
	for role, p := range map[string]**program.Process{"web": &d.web, "dispatcher": &d.dispatcher, "worker": &d.worker} {
		file := filepath.Join(dir, role+".json")
		d.traces = append(d.traces, file)
		*p = start(t, role, "DATABASE_URL="+dsn, "AMQP_URL="+testenv.AMQPURL(t), "ADDR=127.0.0.1:0", "CANCEL_AFTER=1s", "TRACE_FILE="+file)
	}
	for id, customer := range map[string]string{"1": "ann", "2": "bob", "3": "bounce"} {
		body := fmt.Sprintf(`{"id":%q,"customer":%q,"amount_cents":100}`, id, customer)
		if status, text, err := request(t.Context(), http.MethodPost, address(d.web)+"/orders", body); err != nil || status != http.StatusCreated {
			t.Fatalf("order %s: %d %s %v", id, status, text, err)
		}
	}
	db := open(t, dsn)
	eventually(t, time.Minute, "all jobs are finished", func() error {
		if n := count(t, db, "SELECT count(*) FROM ackbox_jobs WHERE state = 'done'"); n != 5 {
			return fmt.Errorf("%d of 5 are done", n)
		}
		if n := count(t, db, "SELECT count(*) FROM ackbox_jobs WHERE state = 'dead'"); n != 1 {
			return fmt.Errorf("%d of 1 are dead", n)
		}
		return nil
	})
	return d
}

// series are the labels of a metric, and their values.
type series map[string]map[string]bool

// exposed are all metrics of all roles, but those of Go and of the process.
func (d *deployment) exposed(t *testing.T) map[string]series {
	t.Helper()
	all := make(map[string]series)
	for _, p := range []*program.Process{d.web, d.dispatcher, d.worker} {
		status, text, err := request(t.Context(), http.MethodGet, address(p)+"/metrics", "")
		if err != nil || status != http.StatusOK {
			t.Fatalf("metrics: %d %v", status, err)
		}
		for line := range strings.Lines(text) {
			name, labels := parse(line)
			if !strings.HasPrefix(name, "ackbox_") && !strings.HasPrefix(name, "messaging_") {
				continue
			}
			if all[name] == nil {
				all[name] = make(series)
			}
			for label, value := range labels {
				if all[name][label] == nil {
					all[name][label] = make(map[string]bool)
				}
				all[name][label][value] = true
			}
		}
	}
	return all
}

var (
	sample = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? [^ ]+$`)
	pair   = regexp.MustCompile(`([a-z_]+)(=~|!=|=)"((?:[^"\\]|\\.)*)"`)
)

// parse reads a line of the exposition.
func parse(line string) (name string, labels map[string]string) {
	m := sample.FindStringSubmatch(strings.TrimSpace(line))
	if m == nil {
		return "", nil
	}
	labels = make(map[string]string)
	for _, p := range pair.FindAllStringSubmatch(m[2], -1) {
		labels[p[1]] = p[3]
	}
	return m[1], labels
}

// Whatever alerts and dashboard speak of the example exports: each metric, each label, and
// each value that is asked for by name.
func TestAlertsAndDashboardAskForWhatThereIs(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	var exposed map[string]series
	// The broker's answer is told after its batch's commit, and gauges when they are asked.
	eventually(t, time.Minute, "everything is told", func() error {
		exposed = d.exposed(t)
		if !exposed["ackbox_jobs_finished_total"]["ackbox_outcome"]["dead"] || !exposed["ackbox_queue_jobs"]["ackbox_state"]["dead"] {
			return fmt.Errorf("no word of the dead job: %v", exposed)
		}
		return nil
	})
	labels := make(map[string]bool)
	for _, s := range exposed {
		for label := range s {
			labels[label] = true
		}
	}
	word := regexp.MustCompile(`\b(?:ackbox|messaging)_[a-z_]+`)
	selector := regexp.MustCompile(`((?:ackbox|messaging)_[a-z_]+)\{([^}]*)\}`)
	for name, least := range map[string]int{"alerts.yml": 13, "dashboard.json": 20} {
		asked := 0
		for _, expr := range expressions(t, name) {
			for _, w := range word.FindAllString(expr, -1) {
				asked++
				if exposed[w] == nil && !labels[w] {
					t.Errorf("%s: nobody exports %s, in %s", name, w, expr)
				}
			}
			for _, s := range selector.FindAllStringSubmatch(expr, -1) {
				for _, p := range pair.FindAllStringSubmatch(s[2], -1) {
					values := exposed[s[1]][p[1]]
					for value := range strings.SplitSeq(p[3], "|") {
						if !values[value] && value != "$queue" {
							t.Errorf("%s: %s has no %s %q, but %v; in %s", name, s[1], p[1], value, slices.Sorted(maps.Keys(values)), expr)
						}
					}
				}
			}
		}
		if asked < least {
			t.Errorf("%s: only %d words were found in it", name, asked)
		}
	}
	documented(t, exposed)
	for _, p := range []*program.Process{d.web, d.dispatcher, d.worker} {
		p.Terminate()
	}
}

// expressions are what a file of examples/orders/ops asks Prometheus.
func expressions(t *testing.T, name string) (list []string) {
	t.Helper()
	text := read(t, "examples", "orders", "ops", name)
	if strings.HasSuffix(name, ".yml") {
		return []string{text}
	}
	var board struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(text), &board); err != nil {
		t.Fatal(err)
	}
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			list = append(list, target.Expr)
		}
	}
	return list
}

// documented checks that docs/observability.md lists what is exported, and nothing else.
func documented(t *testing.T, exposed map[string]series) {
	t.Helper()
	listed := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(read(t, "docs", "observability.md"), -1) {
		listed[m[1]] = true
	}
	found := make(map[string]bool)
	for name := range exposed {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, suffix)
		}
		found[name] = true
	}
	if !maps.Equal(listed, found) {
		t.Errorf("docs/observability.md lists %v, exported are %v", slices.Sorted(maps.Keys(listed)), slices.Sorted(maps.Keys(found)))
	}
}

// read reads a file of the repository.
func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"..", "..", ".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
