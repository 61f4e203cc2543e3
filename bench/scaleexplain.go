package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// explainer has PostgreSQL explain the claims of a store, as they really run:
// auto_explain sends the plans as notices.
type explainer struct {
	store *outbox.Store
	close func() error

	mu    sync.Mutex
	plans []string
}

func openExplainer(database string) (*explainer, error) {
	config, err := pgx.ParseConfig(database)
	if err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	for name, setting := range map[string]string{
		"session_preload_libraries":     "auto_explain",
		"auto_explain.log_min_duration": "0",
		"auto_explain.log_analyze":      "on",
		"auto_explain.log_buffers":      "on",
		"client_min_messages":           "log",
	} {
		config.RuntimeParams[name] = setting
	}
	e := &explainer{}
	config.OnNotice = e.notice
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(1)
	e.close = pool.Close
	db, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), &gorm.Config{Logger: logger.Discard})
	if err == nil {
		e.store, err = outbox.NewStore(db, outbox.Config{})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("explain: %w", err), pool.Close())
	}
	return e, nil
}

func (e *explainer) notice(_ *pgconn.PgConn, n *pgconn.Notice) {
	if !strings.Contains(n.Message, "LockRows") { // the claim alone locks what it selects
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.plans = append(e.plans, n.Message)
}

// explainedClaims is how often the claim runs: PostgreSQL looks at the plans of
// five executions before it may settle for one that fits all, as it does for a
// dispatcher.
const explainedClaims = 7

// explain returns the plan of a claim, the last of several.
func (e *explainer) explain(ctx context.Context) (string, error) {
	for range explainedClaims {
		claimed := false
		// Without transitions all jobs stay pending, which Relay complains about.
		_, err := e.store.Relay(ctx, core.Claim{Limit: batchSize}, func(context.Context, []ackbox.Job) []core.Transition {
			claimed = true
			return nil
		})
		if err != nil && !claimed {
			return "", fmt.Errorf("explain: %w", err)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.plans) == 0 {
		return "", errors.New("explain: PostgreSQL has sent no plan of a claim")
	}
	plan := e.plans[len(e.plans)-1]
	e.plans = nil
	return plan, nil
}

var (
	planTime    = regexp.MustCompile(`actual time=[\d.]+\.\.([\d.]+)`)
	planBuffers = regexp.MustCompile(`Buffers: shared([^\n]*)`)
	planHit     = regexp.MustCompile(`hit=(\d+)`)
	planRead    = regexp.MustCompile(`read=(\d+)`)
)

// planValues are the figures of a plan's topmost node, which has those below
// it in its own.
func planValues(plan string) []value {
	number := func(pattern *regexp.Regexp, text string) float64 {
		found := pattern.FindStringSubmatch(text)
		if found == nil {
			return 0
		}
		v, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			return 0 // the pattern matches numbers only
		}
		return v
	}
	buffers := planBuffers.FindString(plan)
	return []value{
		{"ms", number(planTime, plan)}, {"buffers_hit", number(planHit, buffers)}, {"buffers_read", number(planRead, buffers)},
	}
}
