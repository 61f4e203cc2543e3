package command

import (
	"github.com/spf13/cobra"
)

func (a *app) migrate() *cobra.Command {
	up := &cobra.Command{
		Use: "up", Short: "Bring the tables to the version that this build needs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.migrateUp(cmd) },
	}
	status := &cobra.Command{
		Use: "status", Short: "Say which version the tables have; exit code 3 unless it is the one needed", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.migrateStatus(cmd) },
	}
	sql := &cobra.Command{
		Use: "sql", Short: "Print the migrations as SQL; needs no server", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.migrateSQL() },
	}
	for _, cmd := range []*cobra.Command{up, sql} {
		cmd.Flags().BoolVar(&a.partitioned, "partitioned", false, "keep jobs in daily partitions, see docs/partitions.md")
	}
	return group("migrate", "The jobs table and those beside it", up, status, sql)
}

func (a *app) migrateUp(cmd *cobra.Command) error {
	s, err := a.store()
	if err != nil {
		return err
	}
	before, _, err := s.SchemaVersion(cmd.Context())
	if err != nil {
		return err
	}
	if err := s.Migrate(cmd.Context()); err != nil {
		return err
	}
	after, needed, err := s.SchemaVersion(cmd.Context())
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printJSON(versions{before, after, needed})
	case before == after:
		a.printf("%s.%s: version %d, nothing to do\n", a.schema, a.table, after)
	default:
		a.printf("%s.%s: from version %d to %d\n", a.schema, a.table, before, after)
	}
	return nil
}

type versions struct {
	Before int `json:"before"`
	Now    int `json:"now"`
	Needed int `json:"needed"`
}

func (a *app) migrateStatus(cmd *cobra.Command) error {
	s, err := a.store()
	if err != nil {
		return err
	}
	have, needed, err := s.SchemaVersion(cmd.Context())
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(versions{have, have, needed})
	} else {
		a.printf("%s.%s: version %d, this build needs %d%s\n", a.schema, a.table, have, needed, standing(have, needed))
	}
	if err == nil && have < needed {
		err = errUnwell
	}
	return err
}

func standing(have, needed int) string {
	switch {
	case have == 0:
		return ": there is no such table; run: ackbox migrate up"
	case have < needed:
		return "; run: ackbox migrate up"
	case have > needed:
		return ": it is newer than this program, which works with it"
	}
	return ""
}

func (a *app) migrateSQL() error {
	dsn := a.databaseURL()
	if dsn == "" {
		dsn = "postgres://localhost/" // to choose the dialect: nobody is asked
	}
	s, err := a.storeAt(dsn)
	if err != nil {
		return err
	}
	a.printf("%s", s.MigrationSQL())
	return nil
}
