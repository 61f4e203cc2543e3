package outbox

import (
	"context"
	"fmt"
)

// SchemaVersion returns the version of the jobs table, 0 where there is none, and the one that
// this build needs. [Store.Migrate] goes from one to the other. A table that is newer
// is fit, too: a rolling deploy has come further elsewhere.
func (s *Store) SchemaVersion(ctx context.Context) (have, needed int, err error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	have, err = s.version(ctx, s.pool)
	if err != nil {
		return 0, schemaVersion, fmt.Errorf("outbox: read the version of table %s: %w", s.sql.table, s.hint(err))
	}
	return have, schemaVersion, nil
}
