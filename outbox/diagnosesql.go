package outbox

// What Diagnose asks. All of it reads catalogs and statistics, which are small, and one
// index of the default partition.
const (
	askServer = `SELECT current_setting('server_version'), current_setting('server_version_num')::int, current_user::text,
	(SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
	pg_is_in_recovery(), current_setting('transaction_read_only')::bool,
	(SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend')::int,
	current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
	pg_database_size(current_database())`

	// $1 the schema, $2 tables, $3 rights. A table that is not there has no rights to lack.
	askRights = `SELECT wanted.privilege, t.relname::text
FROM pg_catalog.pg_class AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
CROSS JOIN unnest($3::text[]) WITH ORDINALITY AS wanted (privilege, place)
WHERE n.nspname = $1 AND t.relname = ANY ($2::text[]) AND t.relkind IN ('r', 'p')
AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(t.oid, wanted.privilege))
ORDER BY t.relname, wanted.place`

	askIndexes = `SELECT i.relname::text, x.indisvalid AND x.indisready
FROM pg_catalog.pg_index AS x JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = i.relnamespace
WHERE n.nspname = $1 AND i.relname = ANY ($2::text[])`

	askSettings = `SELECT name, setting FROM pg_catalog.pg_settings
WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'autovacuum', 'track_counts')`

	// A partitioned table has no rows of its own: its partitions are told, the largest 5.
	askTables = `WITH RECURSIVE ours AS (
	SELECT t.oid, t.relkind, 0 AS depth FROM pg_catalog.pg_class AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
	WHERE n.nspname = $1 AND t.relname = ANY ($2::text[]) AND t.relkind IN ('r', 'p')
	UNION ALL
	SELECT c.oid, c.relkind, ours.depth + 1 FROM ours JOIN pg_catalog.pg_inherits AS i ON i.inhparent = ours.oid
	JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
), ranked AS (
	SELECT c.relname::text AS name, ours.depth, coalesce(s.n_live_tup, 0) AS live, coalesce(s.n_dead_tup, 0) AS dead,
	pg_total_relation_size(c.oid) AS bytes,
	(extract(epoch FROM greatest(s.last_vacuum, s.last_autovacuum)) * 1000000)::bigint AS vacuumed,
	(extract(epoch FROM greatest(s.last_analyze, s.last_autoanalyze)) * 1000000)::bigint AS analyzed,
	NOT coalesce(c.reloptions @> '{autovacuum_enabled=false}' OR c.reloptions @> '{autovacuum_enabled=off}', false) AS vacuums,
	row_number() OVER (PARTITION BY ours.depth ORDER BY pg_total_relation_size(c.oid) DESC) AS place
	FROM ours JOIN pg_catalog.pg_class AS c ON c.oid = ours.oid LEFT JOIN pg_catalog.pg_stat_all_tables AS s ON s.relid = c.oid
	WHERE ours.relkind = 'r'
) SELECT name, live, dead, bytes, vacuumed, analyzed, vacuums FROM ranked WHERE depth = 0 OR place <= 5 ORDER BY name`

	askAge = `SELECT age(datfrozenxid)::bigint FROM pg_catalog.pg_database WHERE datname = current_database()`

	// A session counts if it holds back cleaning, or if it has written: of another role's only
	// that it is there is told, without the right of pg_read_all_stats.
	askSessions = `SELECT 'session', pid::text, concat_ws(', ', usename, nullif(application_name, '')), coalesce(state, ''),
	coalesce(extract(epoch FROM clock_timestamp() - xact_start), 0)::float8,
	greatest(age(backend_xmin), age(backend_xid), 0)::bigint
FROM pg_catalog.pg_stat_activity
WHERE pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'
AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL OR state LIKE 'idle in transaction%')
AND (datname = current_database() OR datname IS NULL OR backend_xmin IS NOT NULL)
ORDER BY xact_start NULLS LAST LIMIT 10`

	askPrepared = `SELECT 'prepared transaction', gid, owner::text, '', extract(epoch FROM clock_timestamp() - prepared)::float8,
	age(transaction)::bigint
FROM pg_catalog.pg_prepared_xacts WHERE database = current_database() ORDER BY prepared LIMIT 10`

	askSlots = `SELECT 'replication slot', slot_name::text, slot_type, CASE WHEN active THEN 'active' ELSE 'inactive' END,
	0::float8, greatest(age(xmin), age(catalog_xmin), 0)::bigint
FROM pg_catalog.pg_replication_slots WHERE NOT active OR xmin IS NOT NULL ORDER BY 6 DESC LIMIT 10`

	askBlocked = `SELECT a.pid, coalesce(max(extract(epoch FROM clock_timestamp() - coalesce(a.state_change, a.query_start))), 0)::float8,
	array_to_string(pg_blocking_pids(a.pid), ',')
FROM pg_catalog.pg_stat_activity AS a
WHERE a.wait_event_type = 'Lock' AND a.datname = current_database() AND EXISTS (
	SELECT FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_class AS t ON t.oid = l.relation
	JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
	WHERE l.pid = a.pid AND n.nspname = $1 AND t.relname = ANY ($2::text[]))
GROUP BY a.pid ORDER BY 2 DESC LIMIT 10`
)
