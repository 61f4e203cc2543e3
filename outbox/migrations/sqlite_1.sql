CREATE TABLE {table} (
	id              text    PRIMARY KEY,
	kind            text    NOT NULL CHECK (kind <> ''),
	key             text    CHECK (key <> ''),
	queue           text    NOT NULL,
	exchange        text    NOT NULL,
	routing_key     text    NOT NULL,
	mandatory       integer NOT NULL,
	payload         blob    NOT NULL,
	headers         text    CHECK (headers IS NULL OR json_valid(headers) AND json_type(headers) = 'object'),
	state           text    NOT NULL DEFAULT 'pending',
	due_at          text    NOT NULL,
	attempt         integer NOT NULL DEFAULT 1 CHECK (attempt >= 1),
	max_attempts    integer NOT NULL CHECK (max_attempts >= 1),
	publish_attempt integer NOT NULL DEFAULT 0 CHECK (publish_attempt >= 0),
	resend          integer NOT NULL DEFAULT 0 CHECK (resend >= 0),
	attempts_before integer NOT NULL DEFAULT 0 CHECK (attempts_before >= 0),
	starts          integer NOT NULL DEFAULT 0 CHECK (starts >= 0),
	created_at      text    NOT NULL,
	sent_at         text,
	seen_at         text,
	finished_at     text,
	refused_at      text,
	holder          text,
	started_at      text,
	last_error      text,
	history         text    CHECK (history IS NULL OR json_valid(history) AND json_type(history) = 'array'),
	-- Times are text that sorts, and are read in this form only.
	CHECK (strftime('%Y-%m-%d %H:%M:%f', due_at) IS due_at AND strftime('%Y-%m-%d %H:%M:%f', created_at) IS created_at
		AND strftime('%Y-%m-%d %H:%M:%f', sent_at) IS sent_at AND strftime('%Y-%m-%d %H:%M:%f', seen_at) IS seen_at
		AND strftime('%Y-%m-%d %H:%M:%f', finished_at) IS finished_at
		AND strftime('%Y-%m-%d %H:%M:%f', refused_at) IS refused_at AND strftime('%Y-%m-%d %H:%M:%f', started_at) IS started_at),
	CHECK (CASE state
		WHEN 'pending'   THEN finished_at IS NULL
		WHEN 'nacked'    THEN finished_at IS NULL
		WHEN 'refused'   THEN finished_at IS NULL
		WHEN 'sent'      THEN sent_at IS NOT NULL AND seen_at IS NOT NULL AND (finished_at IS NULL) = (queue <> '')
		WHEN 'done'      THEN sent_at IS NOT NULL AND finished_at IS NOT NULL
		WHEN 'dead'      THEN finished_at IS NOT NULL
		WHEN 'cancelled' THEN finished_at IS NOT NULL
		ELSE 0
	END)
) STRICT;
CREATE INDEX {table_name}_pending ON {table} (queue, due_at, id) WHERE state = 'pending';
CREATE INDEX {table_name}_nacked ON {table} (queue, due_at, id) WHERE state = 'nacked';
CREATE INDEX {table_name}_sent ON {table} (queue, seen_at) WHERE state = 'sent' AND finished_at IS NULL;
CREATE INDEX {table_name}_finished ON {table} (queue, finished_at) WHERE finished_at IS NOT NULL AND state <> 'dead';
CREATE INDEX {table_name}_dead ON {table} (finished_at, id) WHERE state = 'dead';
CREATE INDEX {table_name}_cancelled ON {table} (finished_at, id) WHERE state = 'cancelled';
CREATE INDEX {table_name}_refused ON {table} (queue, due_at, id) WHERE state = 'refused';
CREATE INDEX {table_name}_key ON {table} (key, id) WHERE key IS NOT NULL;
CREATE INDEX {table_name}_held ON {table} (holder) WHERE holder IS NOT NULL AND finished_at IS NULL;
CREATE TABLE {instances} (
	id         text    PRIMARY KEY,
	role       text    NOT NULL,
	host       text    NOT NULL,
	pid        integer NOT NULL,
	queues     text    NOT NULL CHECK (json_valid(queues) AND json_type(queues) = 'array'),
	started_at text    NOT NULL,
	since      text    NOT NULL,
	seen_at    text    NOT NULL,
	detail     text    CHECK (detail IS NULL OR json_valid(detail) AND json_type(detail) = 'object')
) STRICT;
CREATE TABLE {inbox} (
	queue       text    NOT NULL,
	id          text    NOT NULL,
	round       integer NOT NULL CHECK (round >= 0),
	dead        integer NOT NULL,
	finished_at text    NOT NULL CHECK (strftime('%Y-%m-%d %H:%M:%f', finished_at) IS finished_at),
	PRIMARY KEY (queue, id)
) STRICT;
CREATE INDEX {table_name}_inbox_finished ON {inbox} (finished_at);
CREATE TABLE {queues} (
	queue     text PRIMARY KEY CHECK (queue <> ''),
	paused_at text NOT NULL CHECK (strftime('%Y-%m-%d %H:%M:%f', paused_at) IS paused_at),
	paused_by text NOT NULL,
	reason    text NOT NULL
) STRICT;
CREATE TABLE {stats} (
	span     integer NOT NULL CHECK (span IN (60, 3600)),
	at       text    NOT NULL CHECK (strftime('%Y-%m-%d %H:%M:%f', at) IS at),
	queue    text    NOT NULL,
	kind     text    NOT NULL,
	enqueued integer NOT NULL DEFAULT 0,
	sent     integer NOT NULL DEFAULT 0,
	refused  integer NOT NULL DEFAULT 0,
	done     integer NOT NULL DEFAULT 0,
	failed   integer NOT NULL DEFAULT 0,
	dead     integer NOT NULL DEFAULT 0,
	wait     text    NOT NULL DEFAULT '[]' CHECK (json_valid(wait) AND json_type(wait) = 'array'),
	run      text    NOT NULL DEFAULT '[]' CHECK (json_valid(run) AND json_type(run) = 'array'),
	PRIMARY KEY (span, at, queue, kind)
) STRICT;
CREATE TABLE {operations} (
	id          text    PRIMARY KEY,
	action      text    NOT NULL CHECK (action <> ''),
	ids         text    CHECK (ids IS NULL OR json_valid(ids) AND json_type(ids) = 'array'),
	queue       text,
	filter      text    CHECK (filter IS NULL OR json_valid(filter) AND json_type(filter) = 'object'),
	state       text    NOT NULL CHECK (state IN ('running', 'stopped', 'done', 'failed')),
	actor       text    NOT NULL,
	reason      text    NOT NULL DEFAULT '',
	created_at  text    NOT NULL,
	updated_at  text    NOT NULL,
	finished_at text,
	expected    integer NOT NULL DEFAULT 0,
	changed     integer NOT NULL DEFAULT 0,
	looked_at   integer NOT NULL DEFAULT 0,
	place       text    CHECK (place IS NULL OR json_valid(place) AND json_type(place) = 'object'),
	error       text    NOT NULL DEFAULT '',
	CHECK (strftime('%Y-%m-%d %H:%M:%f', created_at) IS created_at AND strftime('%Y-%m-%d %H:%M:%f', updated_at) IS updated_at
		AND strftime('%Y-%m-%d %H:%M:%f', finished_at) IS finished_at),
	CHECK ((finished_at IS NULL) = (state = 'running'))
) STRICT;
CREATE INDEX {table_name}_operations_running ON {operations} (created_at, id) WHERE state = 'running';
