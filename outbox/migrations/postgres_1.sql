CREATE TABLE {table} (
	id              uuid        PRIMARY KEY,
	kind            text        NOT NULL CHECK (kind <> ''),
	-- Empty for a publish-only message, which ends at 'sent'.
	queue           text        NOT NULL,
	exchange        text        NOT NULL,
	routing_key     text        NOT NULL,
	mandatory       boolean     NOT NULL,
	payload         bytea       NOT NULL,
	headers         jsonb       CHECK (jsonb_typeof(headers) = 'object'),
	state           text        NOT NULL DEFAULT 'pending',
	-- pending: publishable from; nacked: the next try.
	due_at          timestamptz NOT NULL DEFAULT now(),
	-- The current try, from 1.
	attempt         int         NOT NULL DEFAULT 1 CHECK (attempt >= 1),
	max_attempts    int         NOT NULL CHECK (max_attempts >= 1),
	publish_attempt int         NOT NULL DEFAULT 0 CHECK (publish_attempt >= 0),
	-- Copies of this try that were sent again on purpose.
	resend          int         NOT NULL DEFAULT 0 CHECK (resend >= 0),
	created_at      timestamptz NOT NULL DEFAULT now(),
	sent_at         timestamptz,
	-- Who last knew where a sent job is: the broker's confirm, then the worker holding it.
	seen_at         timestamptz,
	finished_at     timestamptz,
	last_error      text,
	-- [{"at", "attempt", "error"}], the latest 50.
	errors          jsonb       CHECK (jsonb_typeof(errors) = 'array'),
	-- Nobody's clock shows infinity, and no program reads it.
	CONSTRAINT {table_name}_finite CHECK (isfinite(due_at) AND isfinite(created_at)
		AND isfinite(sent_at) AND isfinite(seen_at) AND isfinite(finished_at)),
	CONSTRAINT {table_name}_state_times CHECK (CASE state
		WHEN 'pending'   THEN finished_at IS NULL
		WHEN 'nacked'    THEN finished_at IS NULL
		WHEN 'sent'      THEN sent_at IS NOT NULL AND seen_at IS NOT NULL AND (finished_at IS NULL) = (queue <> '')
		WHEN 'done'      THEN sent_at IS NOT NULL AND finished_at IS NOT NULL
		WHEN 'dead'      THEN finished_at IS NOT NULL
		WHEN 'cancelled' THEN finished_at IS NOT NULL
		ELSE false
	END)
){partitioned} WITH (
	-- Every job is two dead tuples: vacuum by count, early and without pauses.
	autovacuum_vacuum_scale_factor = 0.01,
	autovacuum_vacuum_threshold = 1000,
	autovacuum_vacuum_insert_scale_factor = 0.05,
	autovacuum_analyze_scale_factor = 0.05,
	autovacuum_vacuum_cost_delay = 0
);
-- Each index holds only the rows its one query looks for, in that query's order.
CREATE INDEX {table_name}_pending ON {table} (queue, due_at, id) WHERE state = 'pending';
CREATE INDEX {table_name}_nacked ON {table} (queue, due_at, id) WHERE state = 'nacked';
CREATE INDEX {table_name}_sent ON {table} (queue, seen_at) WHERE state = 'sent' AND finished_at IS NULL;
CREATE INDEX {table_name}_finished ON {table} (queue, finished_at) WHERE finished_at IS NOT NULL AND state <> 'dead';
CREATE INDEX {table_name}_dead ON {table} (finished_at) WHERE state = 'dead';
