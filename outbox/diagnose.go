package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Diagnose asks PostgreSQL how it is; it changes nothing. Each question is bounded by
// Config.StatementTimeout. What cannot be asked, for want of a right or of a table, is in
// Diagnosis.Unknown; an error means that the server cannot be asked at all. It is an error on
// SQLite, which has none of this.
func (s *Store) Diagnose(ctx context.Context) (Diagnosis, error) {
	var d Diagnosis
	if !s.d.schemas {
		return d, fmt.Errorf("outbox: diagnose: %s has nothing to ask for: this is for PostgreSQL", s.d.name)
	}
	if err := s.diagnoseServer(ctx, &d); err != nil {
		return d, fmt.Errorf("outbox: diagnose: %w", err)
	}
	for _, part := range []struct {
		name string
		ask  func(context.Context, *Diagnosis) error
	}{
		{"the clock", s.diagnoseClock},
		{"the version of the tables", s.diagnoseSchema},
		{"rights", s.diagnoseRights},
		{"indexes", s.diagnoseIndexes},
		{"settings", s.diagnoseSettings},
		{"tables", s.diagnoseTables},
		{"the age of transaction numbers", s.diagnoseAge},
		{"old transactions", s.diagnoseHorizon},
		{"waits for locks", s.diagnoseBlocked},
		{"the default partition", s.diagnoseStray},
	} {
		if err := part.ask(ctx, &d); err != nil {
			d.Unknown = append(d.Unknown, fmt.Sprintf("%s: %v", part.name, err))
		}
		if err := ctx.Err(); err != nil {
			return d, fmt.Errorf("outbox: diagnose: %w", err)
		}
	}
	return d, nil
}

// one asks for one row.
func (s *Store) one(ctx context.Context, query string, args []any, into ...any) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	return explain(s.pool.QueryRowContext(ctx, query, args...).Scan(into...))
}

func (s *Store) diagnoseServer(ctx context.Context, d *Diagnosis) error {
	return s.one(ctx, askServer, nil, &d.Version, &d.Number, &d.Role, &d.Superuser, &d.Standby, &d.ReadOnly,
		&d.Connections, &d.MaxConnections, &d.DatabaseBytes)
}

// clockLooks is of how many questions the quickest answer counts.
const clockLooks = 3

func (s *Store) diagnoseClock(ctx context.Context, d *Diagnosis) error {
	for i := range clockLooks {
		var there dbTime
		began := time.Now()
		if err := s.one(ctx, `SELECT `+micros("clock_timestamp()"), nil, &there); err != nil {
			return err
		}
		// By the monotonic clock, so that a step of ours is not taken for its.
		half := time.Since(began) / 2
		if i == 0 || half < d.ClockError {
			d.Clock, d.ClockError = there.Sub(began.Add(half).Round(0)), half
		}
	}
	return nil
}

func (s *Store) diagnoseSchema(ctx context.Context, d *Diagnosis) (err error) {
	d.Schema, d.SchemaNeeded, err = s.SchemaVersion(ctx)
	return err
}

// tablesOf are the names of the ledger's tables, without the schema.
func (s *Store) tablesOf() []string {
	names := []string{s.cfg.Table}
	for _, side := range sideTables {
		names = append(names, s.cfg.Table+"_"+side)
	}
	return names
}

func (s *Store) diagnoseRights(ctx context.Context, d *Diagnosis) error {
	lacking := func(tables, rights []string) error {
		return s.each(ctx, "ask for rights", askRights, func(rows *sql.Rows) error {
			var right, table string
			if err := rows.Scan(&right, &table); err != nil {
				return err
			}
			d.Lacking = append(d.Lacking, right+" on "+table)
			return nil
		}, s.cfg.Schema, textArray(tables), textArray(rights))
	}
	return errors.Join(
		lacking(s.tablesOf(), []string{"SELECT", "INSERT", "UPDATE", "DELETE"}),
		lacking([]string{s.cfg.Table + "_migrations"}, []string{"SELECT"}))
}

// textArray is a list as PostgreSQL reads arrays; of identifiers, which need no quotes.
func textArray(names []string) string { return "{" + strings.Join(names, ",") + "}" }

var indexName = regexp.MustCompile(`CREATE INDEX (\{table_name\}\w+) ON`)

// indexes are the names of those that the migrations make.
func (s *Store) indexes() ([]string, error) {
	var names []string
	files, err := fs.Glob(migrations, "migrations/"+s.d.name+"_*.sql")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := migrations.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, found := range indexName.FindAllStringSubmatch(string(text), -1) {
			names = append(names, strings.ReplaceAll(found[1], "{table_name}", s.cfg.Table))
		}
	}
	return names, nil
}

func (s *Store) diagnoseIndexes(ctx context.Context, d *Diagnosis) error {
	if d.Schema == 0 {
		return nil
	}
	wanted, err := s.indexes()
	if err != nil {
		return err
	}
	valid := make(map[string]bool)
	err = s.each(ctx, "ask for indexes", askIndexes, func(rows *sql.Rows) error {
		var name string
		var ok bool
		err := rows.Scan(&name, &ok)
		valid[name] = ok
		return err
	}, s.cfg.Schema, textArray(wanted))
	if err != nil {
		return err
	}
	for _, name := range wanted {
		switch ok, there := valid[name]; {
		case !there:
			d.Indexes = append(d.Indexes, Defect{name, "is missing"})
		case !ok:
			d.Indexes = append(d.Indexes, Defect{name, "is not valid: no query uses it"})
		}
	}
	return nil
}

func (s *Store) diagnoseSettings(ctx context.Context, d *Diagnosis) error {
	d.Settings = make(map[string]string)
	return s.each(ctx, "ask for settings", askSettings, func(rows *sql.Rows) error {
		var name, value string
		err := rows.Scan(&name, &value)
		d.Settings[name] = value
		return err
	})
}

func (s *Store) diagnoseTables(ctx context.Context, d *Diagnosis) error {
	return s.each(ctx, "ask for tables", askTables, func(rows *sql.Rows) error {
		var t TableDiagnosis
		var vacuumed, analyzed dbTime
		if err := rows.Scan(&t.Name, &t.Live, &t.Dead, &t.Bytes, &vacuumed, &analyzed, &t.Vacuums); err != nil {
			return err
		}
		t.Vacuumed, t.Analyzed = vacuumed.Time, analyzed.Time
		d.Tables = append(d.Tables, t)
		return nil
	}, s.cfg.Schema, textArray(s.tablesOf()))
}

func (s *Store) diagnoseAge(ctx context.Context, d *Diagnosis) error {
	d.Wraparound = 1<<31 - 3_000_000 // where PostgreSQL stops giving out numbers
	return s.one(ctx, askAge, nil, &d.FrozenAge)
}

func (s *Store) diagnoseHorizon(ctx context.Context, d *Diagnosis) error {
	for _, query := range []string{askSessions, askPrepared, askSlots} {
		err := s.each(ctx, "ask for old transactions", query, func(rows *sql.Rows) error {
			var h Horizon
			var seconds float64
			if err := rows.Scan(&h.What, &h.Name, &h.Who, &h.State, &seconds, &h.Transactions); err != nil {
				return err
			}
			h.Age = time.Duration(seconds * float64(time.Second))
			d.Holders = append(d.Holders, h)
			return nil
		})
		if err != nil {
			return err
		}
	}
	slices.SortStableFunc(d.Holders, func(a, b Horizon) int { return int(b.Transactions - a.Transactions) })
	return nil
}

func (s *Store) diagnoseBlocked(ctx context.Context, d *Diagnosis) error {
	return s.each(ctx, "ask for waits", askBlocked, func(rows *sql.Rows) error {
		var b Blocked
		var seconds float64
		var by string
		if err := rows.Scan(&b.PID, &seconds, &by); err != nil {
			return err
		}
		b.For = time.Duration(seconds * float64(time.Second))
		for pid := range strings.SplitSeq(by, ",") {
			var n int64
			if _, err := fmt.Sscan(pid, &n); err == nil {
				b.By = append(b.By, n)
			}
		}
		d.Blocked = append(d.Blocked, b)
		return nil
	}, s.cfg.Schema, textArray(s.tablesOf()))
}

func (s *Store) diagnoseStray(ctx context.Context, d *Diagnosis) error {
	var there bool
	if err := s.one(ctx, `SELECT to_regclass($1) IS NOT NULL`, []any{s.partition("default")}, &there); err != nil || !there {
		return err
	}
	return s.one(ctx, `SELECT EXISTS (SELECT FROM `+s.partition("default")+`)`, nil, &d.StrayRows)
}
