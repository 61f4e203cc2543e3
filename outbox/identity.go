package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"

	"github.com/ackbox/ackbox"
)

// Identity returns the identity of the Store's ledger, 12 hexadecimal digits that
// its migration drew: messages carry it, so that of two applications that consume a queue of the
// same name neither takes the other's jobs for its own. It is read once, bounded by
// Config.StatementTimeout, by [Store.Migrate] or by whatever needs it first. A copy
// of a database has the identity of its original until somebody gives it another,
// as SECURITY.md says.
func (s *Store) Identity(ctx context.Context) (string, error) {
	return s.identityIn(ctx, s.pool)
}

// identityIn is Identity by way of c, which belongs to the Store's database, if it
// is not known yet: with one connection a transaction has no other to ask by.
func (s *Store) identityIn(ctx context.Context, c reader) (string, error) {
	if id, ok := s.known.Load().(string); ok {
		return id, nil
	}
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	id, err := s.readIdentity(ctx, c)
	if err != nil {
		return "", fmt.Errorf("outbox: read the identity of the ledger of table %s: %w", s.sql.table, explain(err))
	}
	s.known.Store(id)
	return id, nil
}

// identity is how one may look that somebody has given by hand.
var identity = regexp.MustCompile(`^[0-9a-z-]{8,40}$`)

// reader is what *sql.DB, *sql.Tx and gorm.ConnPool have in common for reading.
type reader interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// readIdentity reads what the migrations table says that c leads to.
func (s *Store) readIdentity(ctx context.Context, c reader) (string, error) {
	var id sql.NullString
	err := c.QueryRowContext(ctx, s.sql.identity).Scan(&id)
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && !identity.MatchString(id.String):
		return "", fmt.Errorf("%s has none for version 1: was it made by Store.Migrate or MigrationSQL?", s.versionTable())
	case err != nil:
		return "", err
	}
	return id.String, nil
}

// sign writes the ledger's identity on those jobs whose outcome is recorded in it.
func sign(ledger string, jobs []ackbox.Job) []ackbox.Job {
	for i := range jobs {
		if jobs[i].Queue != "" {
			jobs[i].Ledger = ledger
		}
	}
	return jobs
}
