package outbox

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"
	"time"
)

// pool is the application's connection pool as a Store uses it: sessions that can
// only read are thrown away.
//
// A session stays what it was made: one to a primary that has been demoted since,
// or that began while the database was read-only for a while, refuses every write
// for as long as it lives, and a pool may be full of them and keep them for ever.
// So where a statement is told so, all of the pool's idle sessions are asked, and
// it is run once more: nothing has happened yet. Safe for concurrent use.
type pool struct {
	*sql.DB
	mu      sync.Mutex
	cleaned time.Time
}

const (
	// readOnlyState is PostgreSQL's read_only_sql_transaction: also what a standby
	// says to any write.
	readOnlyState = "25006"
	// What is idle is there at once. cleanTimeout bounds the questions to it,
	// maxCleaned their number.
	idleTimeout  = 100 * time.Millisecond
	cleanTimeout = 2 * time.Second
	maxCleaned   = 1000
)

// ExecContext is like that of *sql.DB.
func (p *pool) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	began := time.Now()
	res, err := p.DB.ExecContext(ctx, query, args...)
	if p.clean(ctx, began, err) {
		res, err = p.DB.ExecContext(ctx, query, args...)
	}
	return res, explain(err)
}

// QueryContext is like that of *sql.DB.
func (p *pool) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	began := time.Now()
	rows, err := p.DB.QueryContext(ctx, query, args...)
	if p.clean(ctx, began, err) {
		rows, err = p.DB.QueryContext(ctx, query, args...)
	}
	return rows, explain(err)
}

// clean closes those idle sessions in which nothing can be written, if err, of
// what began then, says that it met one. It reports whether that was so.
func (p *pool) clean(ctx context.Context, began time.Time, err error) bool {
	if sqlState(err) != readOnlyState {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cleaned.After(began) { // by another call that met one
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	for _, c := range p.idle(ctx) {
		var setting string
		if err := c.QueryRowContext(ctx, "SHOW transaction_read_only").Scan(&setting); err != nil || setting != "off" {
			_ = c.Raw(func(any) error { return driver.ErrBadConn }) // which closes it
		}
		_ = c.Close() // it only goes back to the pool
	}
	p.cleaned = time.Now()
	return true
}

// idle takes all connections out of the pool that are idle, at once: it would lend
// the same one again and again.
func (p *pool) idle(ctx context.Context) []*sql.Conn {
	ctx, cancel := context.WithTimeout(ctx, idleTimeout)
	defer cancel()
	idle := make([]*sql.Conn, 0, min(p.Stats().Idle, maxCleaned))
	for len(idle) < cap(idle) {
		c, err := p.Conn(ctx)
		if err != nil {
			break
		}
		idle = append(idle, c)
	}
	return idle
}
