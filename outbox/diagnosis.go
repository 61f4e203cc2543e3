package outbox

import "time"

// Diagnosis is how PostgreSQL is, as far as jobs depend on it: facts, of which whoever reads
// them makes a judgement. A part that could not be asked for is zero, and Unknown says so.
type Diagnosis struct {
	// Version is the server's, such as "15.14", Number the same as a number, 150014.
	Version string
	Number  int
	// Role is the one that asks; Superuser says that no grant binds it.
	Role      string
	Superuser bool
	// ReadOnly says that nothing can be written; Standby, that it is for being a copy.
	ReadOnly, Standby bool
	// Clock is how far the server's clock is ahead of this process's, give or take
	// ClockError.
	Clock, ClockError time.Duration
	// Schema is the version of the tables, 0 without, SchemaNeeded that of this build.
	Schema, SchemaNeeded int
	// Lacking are the rights that a dispatcher, worker and sweeper need and Role does not
	// have, such as "UPDATE on ackbox_jobs".
	Lacking []string
	// Indexes are those that the migrations make and that are not there, or not valid.
	Indexes []Defect
	// Connections are in use, of MaxConnections that such a role may have.
	Connections, MaxConnections int
	// Settings are the server's that durability and cleaning depend on: fsync,
	// full_page_writes, synchronous_commit, autovacuum, track_counts.
	Settings map[string]string
	// Tables are those of the ledger; of a partitioned one its partitions, which hold the rows.
	Tables []TableDiagnosis
	// DatabaseBytes is the size of the database. What is free beside it no SQL says.
	DatabaseBytes int64
	// FrozenAge is how many transactions ago the database was last frozen, and Wraparound at
	// how many PostgreSQL takes no more.
	FrozenAge, Wraparound int64
	// Holders keep dead rows from being cleaned, the oldest first.
	Holders []Horizon
	// Blocked are sessions that wait for a lock on the jobs, the longest first, 10 at most.
	Blocked []Blocked
	// StrayRows says that the default partition has rows, that of no day.
	StrayRows bool
	// Unknown says what could not be asked for, and why.
	Unknown []string
}

// Defect is something that is not as it should be.
type Defect struct {
	Name, Problem string
}

// TableDiagnosis is how one table is.
type TableDiagnosis struct {
	Name string
	// Live and Dead rows, as PostgreSQL estimates them; Bytes with indexes.
	Live, Dead, Bytes int64
	// Vacuumed and Analyzed are when that last ended; zero if never.
	Vacuumed, Analyzed time.Time
	// Vacuums says that autovacuum may clean it.
	Vacuums bool
}

// Horizon is somebody because of whom dead rows stay: a session in an old transaction, a
// prepared transaction, a replication slot or a standby.
type Horizon struct {
	// What is "session", "prepared transaction" or "replication slot"; Name is its
	// process id, or its name.
	What, Name string
	// Who is the role and the program.
	Who string
	// State is a session's: "idle in transaction", "active".
	State string
	// Age is since when; zero where nobody knows.
	Age time.Duration
	// Transactions is how many began since.
	Transactions int64
}

// Blocked is a session that waits for a lock on a table of the ledger.
type Blocked struct {
	PID int
	// For is how long it has waited, By are the sessions it waits for.
	For time.Duration
	By  []int64
}
