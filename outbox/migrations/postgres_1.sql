CREATE TABLE {table} (
	id              uuid        PRIMARY KEY,
	kind            text        NOT NULL CHECK (kind <> ''),
	-- What the job is about, in the application's words: order:42.
	key             text        CHECK (key <> ''),
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
	-- What happened to it off the straight way, the latest 50: [{"at", "what", "attempt", "by", "error", …}].
	history         jsonb       CHECK (jsonb_typeof(history) = 'array'),
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
CREATE INDEX {table_name}_dead ON {table} (finished_at, id) WHERE state = 'dead';
CREATE INDEX {table_name}_cancelled ON {table} (finished_at, id) WHERE state = 'cancelled';
CREATE INDEX {table_name}_refused ON {table} (queue, due_at, id) WHERE state = 'refused';
CREATE INDEX {table_name}_key ON {table} (key, id) WHERE key IS NOT NULL;
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
	seen_at    timestamptz NOT NULL DEFAULT now(),
	-- What people are shown of it: its build, slots, what it runs, how its broker is.
	detail     jsonb       CHECK (jsonb_typeof(detail) = 'object')
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
-- Queues that people have told to stand still.
CREATE TABLE {queues} (
	queue     text        COLLATE "C" PRIMARY KEY CHECK (queue <> ''),
	paused_at timestamptz NOT NULL DEFAULT now(),
	paused_by text        NOT NULL,
	reason    text        NOT NULL
);
-- What happened in a minute, and in an hour, by queue and kind: each process adds its own.
CREATE TABLE {stats} (
	-- Seconds: 60 or 3600.
	span     int         NOT NULL CHECK (span IN (60, 3600)),
	at       timestamptz NOT NULL CHECK (isfinite(at)),
	queue    text        COLLATE "C" NOT NULL,
	kind     text        COLLATE "C" NOT NULL,
	-- By the time of writing; the others by that of happening.
	enqueued bigint      NOT NULL DEFAULT 0,
	sent     bigint      NOT NULL DEFAULT 0,
	refused  bigint      NOT NULL DEFAULT 0,
	done     bigint      NOT NULL DEFAULT 0,
	failed   bigint      NOT NULL DEFAULT 0,
	dead     bigint      NOT NULL DEFAULT 0,
	-- How many took how long, by steps of the square root of 2 from a millisecond on:
	-- from being due to being sent, and a handler's run.
	wait     bigint[]    NOT NULL DEFAULT '{}',
	run      bigint[]    NOT NULL DEFAULT '{}',
	PRIMARY KEY (span, at, queue, kind)
) WITH (
	fillfactor = 70,
	autovacuum_vacuum_scale_factor = 0.05,
	autovacuum_vacuum_cost_delay = 0
);
-- What people did: who, when, what; of many jobs at once also how far it has come.
CREATE TABLE {operations} (
	id          uuid        PRIMARY KEY,
	action      text        NOT NULL CHECK (action <> ''),
	-- Whom it was about: ids, a queue, or all that match a filter.
	ids         jsonb       CHECK (jsonb_typeof(ids) = 'array'),
	queue       text,
	filter      jsonb       CHECK (jsonb_typeof(filter) = 'object'),
	state       text        NOT NULL CHECK (state IN ('running', 'stopped', 'done', 'failed')),
	-- Who, and why.
	actor       text        NOT NULL,
	reason      text        NOT NULL DEFAULT '',
	created_at  timestamptz NOT NULL DEFAULT now(),
	updated_at  timestamptz NOT NULL DEFAULT now(),
	finished_at timestamptz,
	-- How many there were to do when it began; capped.
	expected    bigint      NOT NULL DEFAULT 0,
	changed     bigint      NOT NULL DEFAULT 0,
	looked_at   bigint      NOT NULL DEFAULT 0,
	-- Where the walk goes on.
	place       jsonb       CHECK (jsonb_typeof(place) = 'object'),
	error       text        NOT NULL DEFAULT '',
	CHECK ((finished_at IS NULL) = (state = 'running'))
);
CREATE INDEX {table_name}_operations_running ON {operations} (created_at, id) WHERE state = 'running';
