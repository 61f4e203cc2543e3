package command

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ackbox/ackbox/outbox"
)

const (
	aboutDatabase = "PostgreSQL"
	// oldTransaction is from when on one that does nothing harms, and longTransaction one
	// that works.
	oldTransaction  = 5 * time.Minute
	longTransaction = 15 * time.Minute
	// oldestServer is the first that the partitions and statements of outbox run on.
	oldestServer = 130000
)

// judgeDatabase says what is to be said of the server.
func judgeDatabase(list *findings, d outbox.Diagnosis, schema, table string) {
	list.add(good, aboutDatabase, "", "version %s, role %s, database of %s", d.Version, d.Role, size(d.DatabaseBytes))
	if d.Number < oldestServer {
		list.add(warn, aboutDatabase, "upgrade the server", "version %s is older than 13, with which nothing was tried", d.Version)
	}
	judgeWritable(list, d)
	judgeClock(list, d)
	judgeSchema(list, d, schema)
	judgeLoad(list, d)
	judgeCleaning(list, d, schema, table)
	for _, unknown := range d.Unknown {
		list.add(note, aboutDatabase, "", "not checked: %s", unknown)
	}
	list.add(note, aboutDatabase, "", "not checked: the free space of its disks, which SQL does not tell")
}

func judgeWritable(list *findings, d outbox.Diagnosis) {
	switch {
	case d.Standby:
		list.add(bad, aboutDatabase, "give DATABASE_URL the primary; with several hosts in it, target_session_attrs=read-write finds it",
			"this server is a standby: nothing can be written")
	case d.ReadOnly:
		list.add(bad, aboutDatabase, "see who has set default_transaction_read_only, for the server, the database or the role, and why",
			"transactions are read-only: nothing can be written")
	default:
		list.add(good, aboutDatabase, "", "it is the primary, and can be written")
	}
	if d.Superuser {
		list.add(note, aboutDatabase, "", "the role is a superuser: SECURITY.md says which rights are enough")
	}
	risk := map[string]string{
		"fsync":              "a crash of the machine can destroy the database",
		"full_page_writes":   "a crash of the machine can destroy the database",
		"synchronous_commit": "a crash can lose what was committed: jobs, and that they are done",
	}
	safe := true
	for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		if d.Settings[name] != "off" {
			continue
		}
		safe = false
		list.add(warn, aboutDatabase, "ALTER SYSTEM SET "+name+" = on; SELECT pg_reload_conf();", "%s is off: %s", name, risk[name])
	}
	if safe && len(d.Settings) > 0 {
		list.add(good, aboutDatabase, "", "what is committed survives a crash")
	}
}

func judgeClock(list *findings, d outbox.Diagnosis) {
	const most = 5 * time.Second
	apart := d.Clock.Abs() - d.ClockError
	if apart > most {
		list.add(warn, aboutDatabase, "see that both keep time by NTP. Due times are by the database's clock; outbox.At takes the caller's.",
			"its clock and this machine's are %s apart", span(apart))
		return
	}
	list.add(good, aboutDatabase, "", "its clock and this machine's are at most %s apart", span(d.Clock.Abs()+d.ClockError))
}

func judgeSchema(list *findings, d outbox.Diagnosis, schema string) {
	switch {
	case d.Schema == 0:
		list.add(bad, aboutDatabase, "ackbox migrate up, or let the owner of the schema run what 'ackbox migrate sql' prints;\n--schema and --table name another table", "the jobs table is not there")
		return
	case d.Schema < d.SchemaNeeded:
		list.add(bad, aboutDatabase, "ackbox migrate up", "the tables have version %d, this build needs %d", d.Schema, d.SchemaNeeded)
	default:
		list.add(good, aboutDatabase, "", "the tables have version %d, this build needs %d", d.Schema, d.SchemaNeeded)
	}
	if len(d.Lacking) > 0 {
		list.add(bad, aboutDatabase, grants(d.Lacking, d.Role, schema), "rights are missing: %s", in(d.Lacking))
	} else {
		list.add(good, aboutDatabase, "", "the role has the rights that dispatcher, worker and sweeper need")
	}
	for _, x := range d.Indexes {
		do := "REINDEX INDEX CONCURRENTLY " + schema + "." + x.Name + ";"
		if strings.Contains(x.Problem, "missing") {
			do = "run its CREATE INDEX of 'ackbox migrate sql', with CONCURRENTLY where the table is large"
		}
		list.add(bad, aboutDatabase, do, "index %s %s", x.Name, x.Problem)
	}
	if len(d.Indexes) == 0 {
		list.add(good, aboutDatabase, "", "all indexes are there, and valid")
	}
}

// grants is the SQL that gives the rights that are missing: "UPDATE on ackbox_jobs".
func grants(lacking []string, role, schema string) string {
	byTable := make(map[string][]string)
	var tables []string
	for _, l := range lacking {
		right, table, _ := strings.Cut(l, " on ")
		if byTable[table] == nil {
			tables = append(tables, table)
		}
		byTable[table] = append(byTable[table], right)
	}
	var lines []string
	for _, table := range tables {
		lines = append(lines, fmt.Sprintf("GRANT %s ON %s.%s TO %s;", in(byTable[table]), schema, table, role))
	}
	return strings.Join(lines, "\n")
}

func judgeLoad(list *findings, d outbox.Diagnosis) {
	share := 0
	if d.MaxConnections > 0 {
		share = 100 * d.Connections / d.MaxConnections
	}
	l, do := good, ""
	if share >= 80 {
		l, do = warn, "lower SetMaxOpenConns of the pools, put PgBouncer between, or raise max_connections"
	}
	list.add(l, aboutDatabase, do, "%d of %d connections are in use", d.Connections, d.MaxConnections)
	for _, b := range d.Blocked {
		if b.For < time.Second {
			continue
		}
		by := make([]string, 0, len(b.By))
		for _, pid := range b.By {
			by = append(by, fmt.Sprint(pid))
		}
		do := "SELECT * FROM pg_stat_activity WHERE pid IN (" + in(by) + "); shows who that is, pg_terminate_backend(pid) ends one"
		if len(by) == 0 {
			do = ""
		}
		list.add(warn, aboutDatabase, do, "session %d has waited for %s for a lock on the jobs, behind %s", b.PID, span(b.For), dash(in(by)))
	}
}

func judgeCleaning(list *findings, d outbox.Diagnosis, schema, table string) {
	if d.Settings["autovacuum"] == "off" || d.Settings["track_counts"] == "off" {
		list.add(bad, aboutDatabase, "ALTER SYSTEM SET autovacuum = on; ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf();",
			"autovacuum is off: each job leaves dead rows, the table grows and everything becomes slow")
	}
	well := true
	for _, t := range d.Tables {
		name := schema + "." + t.Name
		switch {
		case !t.Vacuums:
			well = false
			list.add(bad, aboutDatabase, "ALTER TABLE "+name+" RESET (autovacuum_enabled);", "autovacuum may not clean %s", t.Name)
		case t.Dead > 50_000 && t.Dead > t.Live/2:
			well = false
			list.add(warn, aboutDatabase, "see old transactions below; else: VACUUM (VERBOSE) "+name+"; says why",
				"%s has %d dead rows beside %d live ones, and was last cleaned %s", t.Name, t.Dead, t.Live, when0(t.Vacuumed))
		}
		if t.Name == table {
			list.add(good, aboutDatabase, "", "%s: about %d rows, %d dead, %s with indexes; cleaned %s", t.Name, t.Live, t.Dead, size(t.Bytes), when0(t.Vacuumed))
		}
	}
	if well && len(d.Tables) > 0 {
		list.add(good, aboutDatabase, "", "autovacuum keeps up")
	}
	if share := 100 * d.FrozenAge / max(d.Wraparound, 1); share >= 40 {
		l := warn
		if share >= 80 {
			l = bad
		}
		list.add(l, aboutDatabase, "find what holds back VACUUM FREEZE (old transactions, prepared transactions, replication slots), end it, then VACUUM FREEZE the database",
			"%d %% of the transaction numbers are used since the last freeze: at 100 %% PostgreSQL takes no more writes", share)
	}
	judgeHolders(list, d)
	if d.StrayRows {
		list.add(warn, aboutDatabase, "see docs/partitions.md", "the default partition has rows: partitions were not made in time, or ids are not ours")
	}
}

func judgeHolders(list *findings, d outbox.Diagnosis) {
	harmless := true
	for _, h := range d.Holders {
		idle := strings.HasPrefix(h.State, "idle in transaction")
		switch {
		case h.What == "session" && idle && h.Age > oldTransaction:
			harmless = false
			list.add(bad, aboutDatabase, "SELECT pg_terminate_backend("+h.Name+");\nset idle_in_transaction_session_timeout for that role",
				"session %s (%s) has been %s for %s: no dead row since then can be cleaned", h.Name, h.Who, h.State, span(h.Age))
		case h.What == "session" && h.Age > longTransaction:
			harmless = false
			list.add(warn, aboutDatabase, "if it is a report, let it read from a standby; SELECT pg_terminate_backend("+h.Name+"); ends it",
				"session %s (%s) has worked in one transaction for %s: no dead row since then can be cleaned", h.Name, h.Who, span(h.Age))
		case h.What == "prepared transaction" && h.Age > oldTransaction:
			harmless = false
			list.add(bad, aboutDatabase, "COMMIT PREPARED or ROLLBACK PREPARED '"+h.Name+"'", "prepared transaction %s of %s is %s old: no dead row since then can be cleaned", h.Name, h.Who, span(h.Age))
		case h.What == "replication slot" && h.State == "inactive":
			harmless = false
			list.add(warn, aboutDatabase, "bring its reader back, or SELECT pg_drop_replication_slot('"+h.Name+"');",
				"nobody reads replication slot %s: it keeps WAL until the disk is full", h.Name)
		}
	}
	if harmless && !slices.ContainsFunc(d.Unknown, func(u string) bool { return strings.HasPrefix(u, "old transactions") }) {
		list.add(good, aboutDatabase, "", "no old transaction keeps dead rows")
	}
}

func size(bytes int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	n, i := float64(bytes), 0
	for n >= 1024 && i < len(units)-1 {
		n, i = n/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d bytes", bytes)
	}
	return fmt.Sprintf("%.1f %s", n, units[i])
}

func when0(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return ago(time.Now(), t) + " ago"
}
