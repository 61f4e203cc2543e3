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
	-- Tries made before an operator requeued it, which count no more.
	attempts_before int         NOT NULL DEFAULT 0 CHECK (attempts_before >= 0),
	-- Starts of this try that had no outcome, as far as they were written down.
	starts          int         NOT NULL DEFAULT 0 CHECK (starts >= 0),
	created_at      timestamptz NOT NULL DEFAULT now(),
	sent_at         timestamptz,
	-- Who last knew where a sent job is: the broker's confirm, then the worker holding it.
	seen_at         timestamptz,
	finished_at     timestamptz,
	-- When the broker first refused this try.
	refused_at      timestamptz,
	-- The instance whose hands it is in, as far as is known; it runs there since
	-- started_at, or waits.
	holder          uuid,
	started_at      timestamptz,
	last_error      text,
	-- [{"at", "attempt", "error"}], the latest 50.
	errors          jsonb       CHECK (jsonb_typeof(errors) = 'array'),
	-- Nobody's clock shows infinity, and no program reads it.
	CONSTRAINT {table_name}_finite CHECK (isfinite(due_at) AND isfinite(created_at)
		AND isfinite(sent_at) AND isfinite(seen_at) AND isfinite(finished_at)
		AND isfinite(refused_at) AND isfinite(started_at)),
	CONSTRAINT {table_name}_state_times CHECK (CASE state
		WHEN 'pending'   THEN finished_at IS NULL
		WHEN 'nacked'    THEN finished_at IS NULL
		WHEN 'refused'   THEN finished_at IS NULL
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
CREATE INDEX {table_name}_refused ON {table} (queue, due_at, id) WHERE state = 'refused';
CREATE INDEX {table_name}_held ON {table} (holder) WHERE holder IS NOT NULL AND finished_at IS NULL;
-- Workers and sweepers, each of which says every few seconds that it is alive.
CREATE TABLE {instances} (
	id         uuid        PRIMARY KEY,
	role       text        NOT NULL,
	host       text        NOT NULL,
	pid        int         NOT NULL,
	queues     jsonb       NOT NULL CHECK (jsonb_typeof(queues) = 'array'),
	started_at timestamptz NOT NULL DEFAULT now(),
	-- Its words had no gap since then.
	since      timestamptz NOT NULL DEFAULT now(),
	seen_at    timestamptz NOT NULL DEFAULT now()
) WITH (
	-- Small, and written all the time.
	fillfactor = 50,
	autovacuum_vacuum_scale_factor = 0,
	autovacuum_vacuum_threshold = 500
);
-- Messages without a row whose handlers have completed them: a copy is told by that.
CREATE TABLE {inbox} (
	-- Compared by their bytes: no upgrade of the server's locales may reorder this key.
	queue       text        COLLATE "C" NOT NULL,
	id          text        COLLATE "C" NOT NULL,
	-- The tries that were made before it was last requeued from a dead queue.
	round       int         NOT NULL CHECK (round >= 0),
	-- It was given up, and a later round may complete it.
	dead        boolean     NOT NULL,
	finished_at timestamptz NOT NULL CHECK (isfinite(finished_at)),
	PRIMARY KEY (queue, id)
) WITH (
	autovacuum_vacuum_scale_factor = 0.01,
	autovacuum_vacuum_threshold = 1000,
	autovacuum_vacuum_insert_scale_factor = 0.05,
	autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX {table_name}_inbox_finished ON {inbox} (finished_at);
