// Package dashboard_test looks at the page of a real ledger, with real loops at work, and
// does with it what people on call do.
package dashboard_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox/dashboard"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/memory"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// GORM's cache of prepared statements has a goroutine that nothing ends.
		goleak.IgnoreTopFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1"))
}

// patience is how long a page may take to say what it will say.
const patience = 60 * time.Second

// Mail is sent to who has ordered.
type Mail struct{ Order int }

// Kind names the job for the worker.
func (Mail) Kind() string { return "mail.send" }

// office is an application whose mail server may be away, and its page.
type office struct {
	t     *testing.T
	db    *gorm.DB
	store *outbox.Store
	page  *httptest.Server
	// away has every mail fail.
	away atomic.Bool
}

// databases opens each kind of database that a ledger can be in.
func databases() map[string]func(t *testing.T) *gorm.DB {
	return map[string]func(t *testing.T) *gorm.DB{
		"postgres": func(t *testing.T) *gorm.DB { return testenv.Postgres(t) },
		"sqlite": func(t *testing.T) *gorm.DB {
			file := filepath.Join(t.TempDir(), "jobs.db")
			db, err := gorm.Open(sqlite.Open(file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_txlock=immediate"), &gorm.Config{Logger: logger.Discard})
			if err != nil {
				t.Fatal(err)
			}
			pool, err := db.DB()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = pool.Close() })
			return db
		},
	}
}

func newOffice(t *testing.T, db *gorm.DB) *office {
	t.Helper()
	o := &office{t: t, db: db}
	silent := slog.New(slog.DiscardHandler)
	store, err1 := outbox.NewStore(db, outbox.Config{Queues: []string{"mail", "slow"}})
	mq, err2 := memory.New(memory.Config{Topology: topology()})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	o.store = store
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	reg := handler.NewRegistry()
	handler.RegisterFunc(reg, func(context.Context, handler.Job[Mail]) error {
		if o.away.Load() {
			return errors.New("smtp: the mail server <b>is away</b>\nstack of it")
		}
		return nil
	})
	d, err1 := dispatcher.New(store, mq, dispatcher.Config{Logger: silent})
	w, err2 := worker.New(store, mq, reg, worker.Config{Queues: []worker.Queue{{Name: "mail"}}, Logger: silent})
	s, err3 := retry.NewSweeper(store, mq, retry.Config{Logger: silent})
	board, err4 := dashboard.New(store, dashboard.Config{
		Authorize: func(*http.Request) (dashboard.Viewer, error) {
			return dashboard.Viewer{Name: "ada", Can: dashboard.Everything}, nil
		},
		Broker: mq, Name: "office", Logger: silent,
	})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var loops errgroup.Group
	loops.Go(func() error { return d.Run(ctx) })
	loops.Go(func() error { return w.Run(ctx) })
	loops.Go(func() error { return s.Run(ctx) })
	o.page = httptest.NewServer(http.StripPrefix("/ops/jobs", board))
	t.Cleanup(func() {
		o.page.Close()
		stop()
		if err := errors.Join(loops.Wait(), mq.Close()); err != nil {
			t.Errorf("the loops ended with %v", err)
		}
	})
	return o
}

// order writes a job.
func (o *office) order(key string, opts ...outbox.Option) {
	o.t.Helper()
	opts = append([]outbox.Option{outbox.Queue("mail"), outbox.Key(key), outbox.MaxAttempts(1)}, opts...)
	err := o.db.Transaction(func(tx *gorm.DB) error { return o.store.Enqueue(o.t.Context(), tx, Mail{Order: 1}, opts...) })
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) request(method, path string, form url.Values, accept string) (int, string) {
	o.t.Helper()
	r, err := http.NewRequestWithContext(o.t.Context(), method, o.page.URL+"/ops/jobs/"+path, strings.NewReader(form.Encode()))
	if err != nil {
		o.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Accept", accept)
	answer, err := o.page.Client().Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// html is a page as a browser sees it, after what it was sent on to.
func (o *office) html(path string) string {
	o.t.Helper()
	status, body := o.request(http.MethodGet, path, nil, "text/html")
	if status != http.StatusOK || strings.Contains(body, "could not be read") {
		o.t.Errorf("%s: %d: %s", path, status, body)
	}
	return body
}

// read reads a page as a program does.
func (o *office) read(path string, into any) int {
	o.t.Helper()
	status, body := o.request(http.MethodGet, path, nil, "application/json")
	if err := json.Unmarshal([]byte(body), into); err != nil {
		o.t.Fatalf("%s: %v: %s", path, err, body)
	}
	return status
}

// post does something as a browser does, and returns the page that says what was done.
func (o *office) post(path string, form url.Values) string {
	o.t.Helper()
	status, body := o.request(http.MethodPost, path, form, "text/html")
	if status != http.StatusOK {
		o.t.Fatalf("POST %s: %d: %s", path, status, body)
	}
	return body
}

// job is what the tests read of a job.
type job struct {
	ID, State, Key string
	Error          string
	DueAt          time.Time `json:"due_at"`
	Timeline       []struct{ What, By, Error string }
}

// find returns the only job of a key.
func (o *office) find(key string) job {
	o.t.Helper()
	var list struct{ Jobs []job }
	o.read("jobs?q="+url.QueryEscape("key:"+key), &list)
	if len(list.Jobs) != 1 {
		o.t.Fatalf("%d jobs have the key %s", len(list.Jobs), key)
	}
	var one job
	o.read("jobs/"+list.Jobs[0].ID, &one)
	return one
}

// until waits for what becomes so.
func (o *office) until(what string, is func() bool) {
	o.t.Helper()
	end := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-end:
			o.t.Fatalf("not so after %v: %s", patience, what)
		case <-tick.C:
		}
	}
}
