package outbox_test

import (
	"testing"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox/internal/integration/storetest"
	"github.com/ackbox/ackbox/outbox"
)

// sessionSettings change how values are written or read, or what a statement may take for
// granted. An administrator can set each for a role or a database.
var sessionSettings = []string{
	"bytea_output = escape", "DateStyle = 'SQL, DMY'", "IntervalStyle = sql_standard", "TimeZone = 'Asia/Kathmandu'",
	"extra_float_digits = -15", "xmlbinary = hex", "array_nulls = off", "row_security = off",
	"quote_all_identifiers = on", "transform_null_equals = on", "backslash_quote = off", "plan_cache_mode = force_generic_plan",
	"default_transaction_deferrable = on", "lock_timeout = '1min'", "statement_timeout = '1min'", "idle_in_transaction_session_timeout = '1min'",
}

// The settings of a database change nothing, in whatever way it is spoken to.
func TestPostgresSettings(t *testing.T) {
	t.Parallel()
	for mode, dsn := range map[string]string{
		"extended": "", "exec": "&default_query_exec_mode=exec", "simple": "&default_query_exec_mode=simple_protocol",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			d := &databases{t: t}
			storetest.Run(t, func(t *testing.T) *gorm.DB {
				url := d.lend(t)
				admin := open(t, postgres.Open(url), 1, gorm.Config{})
				more := []string{"default_transaction_isolation = 'repeatable read'"}
				if mode != "simple" { // pgx refuses it there by itself, by name
					more = append(more, "standard_conforming_strings = off")
				}
				for _, setting := range append(more, sessionSettings...) {
					run(t, admin, `ALTER DATABASE "`+name(t, url)+`" SET `+setting)
				}
				return open(t, postgres.Open(url+dsn), 10, gorm.Config{})
			}, outbox.Config{})
		})
	}
}
