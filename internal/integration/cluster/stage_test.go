//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/integration/site"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// patience bounds every wait. It passes only if something hangs.
const patience = 2 * time.Minute

// queues of the shop, each led by another node when a test begins.
var queues = []string{"shop.a", "shop.b", "shop.c"}

// stage is one test's shop: a database and a vhost of its own, three processes of
// which each goes to another node first, and producers.
type stage struct {
	t   *testing.T
	ctx context.Context
	cfg shop.Config
	// app places orders and audits; none of its loops run.
	app       *shop.App
	processes []*site.Process

	mu     sync.Mutex
	orders []string // whose commit was confirmed
}

func newStage(t *testing.T, database string) *stage {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	s := &stage{t: t, ctx: ctx, cfg: shop.Config{DatabaseURL: database, Queues: queues, Dispatcher: true, Worker: true}}
	s.app = s.open(s.cfg, 0)
	s.must("make the tables", s.app.Setup(ctx))
	for i, queue := range queues {
		one := s.cfg
		one.Queues = []string{queue}
		s.must("declare a queue by its node", s.open(one, i).Broker.Ready(ctx))
		s.must("wait for its members", ground.Cluster.Whole(ctx, s.vhost(), queue))
	}
	for i := range queues {
		cfg := s.cfg
		cfg.Name, cfg.AMQPURLs = fmt.Sprintf("p%d", i), s.urls(i)
		p, err := site.Start(shopd, cfg)
		s.must("start a process", err)
		s.processes = append(s.processes, p)
		t.Cleanup(func() {
			p.Kill()
			if t.Failed() {
				t.Logf("log of process %s:\n%s", cfg.Name, p.Log())
			}
		})
	}
	return s
}

func (s *stage) vhost() string { return testenv.Rabbit(s.t).Vhost() }

// urls are all nodes' addresses, beginning with one of them.
func (s *stage) urls(first int) (urls []string) {
	for i := range ground.ToRabbitMQ {
		proxy := ground.ToRabbitMQ[(first+i)%len(ground.ToRabbitMQ)]
		urls = append(urls, site.Through(testenv.AMQPURL(s.t), proxy.Address()))
	}
	return urls
}

func (s *stage) open(cfg shop.Config, node int) *shop.App {
	s.t.Helper()
	cfg.Name, cfg.AMQPURLs, cfg.Logger = "audit", s.urls(node), slog.New(slog.DiscardHandler)
	app, err := shop.Open(cfg)
	s.must("open an instance", err)
	s.t.Cleanup(func() {
		if err := app.Close(); err != nil {
			s.t.Errorf("close an instance: %v", err)
		}
	})
	return app
}

// traffic commits an order with a job for every queue each 20 ms until stop is
// called. An order whose commit fails is not counted; it may be there all the same.
func (s *stage) traffic() (stop func()) {
	ctx, cancel := context.WithCancel(s.ctx)
	var producer sync.WaitGroup
	producer.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			s.order(ctx, fmt.Sprintf("order-%d", n))
		}
	})
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); producer.Wait() }) }
	s.t.Cleanup(stop)
	return stop
}

func (s *stage) order(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	o := shop.Order{ID: id}
	for _, queue := range queues {
		o.Charges = append(o.Charges, shop.Plan{Queue: queue})
	}
	err := s.app.DB.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return s.app.Place(ctx, tx, o) })
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.orders = append(s.orders, id)
	}
}

// flows waits until jobs of every queue are done that are enqueued from now on, and
// returns how long that took each queue.
func (s *stage) flows() (took []time.Duration) {
	s.t.Helper()
	var now time.Time
	s.must("read the clock", s.app.DB.WithContext(s.ctx).Raw(`SELECT now()`).Scan(&now).Error)
	for _, queue := range queues {
		var first *time.Time
		s.eventually("jobs of "+queue+" are done", func() error {
			if err := s.app.DB.WithContext(s.ctx).Raw(`SELECT min(finished_at) FROM ackbox_jobs
				WHERE queue = ? AND state = 'done' AND created_at > ?`, queue, now).Scan(&first).Error; err != nil {
				return err
			}
			if first == nil {
				return errors.New("none is")
			}
			return nil
		})
		took = append(took, first.Sub(now).Round(10*time.Millisecond))
	}
	return took
}

// balanced waits until every job is finished, ends the processes in peace, and
// checks the books: with those of whoever has a commit's confirmation in hand, too.
func (s *stage) balanced() {
	s.t.Helper()
	var audit shop.Audit
	s.eventually("every job is finished", func() (err error) {
		if audit, err = shop.Take(s.ctx, s.app.DB); err == nil && audit.Unfinished > 0 {
			err = fmt.Errorf("%+v", audit)
		}
		return err
	})
	if err := audit.Err(); err != nil {
		s.t.Error(err)
	}
	var there []string
	s.must("read the orders", s.app.DB.WithContext(s.ctx).Raw(`SELECT id FROM shop_orders`).Scan(&there).Error)
	slices.Sort(there)
	for _, id := range s.orders {
		if _, found := slices.BinarySearch(there, id); !found {
			s.t.Errorf("%s was committed, and is not there", id)
		}
	}
	for _, p := range s.processes {
		if err := p.Terminate(30 * time.Second); err != nil {
			s.t.Errorf("end a process: %v", err)
		}
	}
	var slowest []time.Duration
	for _, queue := range queues {
		slowest = append(slowest, s.slowest(queue))
	}
	audit.Examples = nil
	s.t.Logf("books: %+v; the slowest jobs took %v", audit, slowest)
}

// slowest is how long the slowest job of a queue took.
func (s *stage) slowest(queue string) time.Duration {
	s.t.Helper()
	var ms int
	s.must("read how long jobs took", s.app.DB.WithContext(s.ctx).Raw(
		`SELECT (extract(epoch FROM max(finished_at - created_at)) * 1000)::int FROM ackbox_jobs WHERE queue = ?`, queue).Scan(&ms).Error)
	return time.Duration(ms) * time.Millisecond
}

// uncharged checks that no handler was charged a try. That the broker refused some
// is no fault of ours: it does while a quorum queue has no leader.
func (s *stage) uncharged() {
	s.t.Helper()
	var charged, refused, most int
	for into, query := range map[*int]string{
		&charged: `SELECT count(*) FROM ackbox_jobs WHERE attempt <> 1`,
		&refused: `SELECT count(*) FROM ackbox_jobs WHERE publish_attempt > 0`,
		&most:    `SELECT coalesce(max(publish_attempt), 0) FROM ackbox_jobs`,
	} {
		s.must("read charges", s.app.DB.WithContext(s.ctx).Raw(query).Scan(into).Error)
	}
	if charged > 0 {
		s.t.Errorf("%d jobs were charged for an outage", charged)
	}
	if most > 25 {
		s.t.Errorf("the broker refused one job %d times: with the default settings it would be dead", most)
	}
	s.t.Logf("the broker refused %d jobs, the unluckiest one %d times", refused, most)
}

func (s *stage) eventually(what string, ask func() error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	if err := servers.Until(ctx, func(context.Context) error { return ask() }); err != nil {
		s.t.Fatalf("not yet: %s: %v", what, err)
	}
}

func (s *stage) must(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}
