CREATE TABLE simple_sourcing.layout (
    number bigint PRIMARY KEY
);
CREATE TABLE simple_sourcing.projections (
    name text NOT NULL,
    version bigint NOT NULL,
    tables text NOT NULL,
    aggregates text NOT NULL DEFAULT '',
    epoch bigint NOT NULL DEFAULT 0,
    is_paused boolean NOT NULL DEFAULT FALSE,
    is_current boolean NOT NULL DEFAULT FALSE,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version)
);
CREATE UNIQUE INDEX projections_current ON simple_sourcing.projections (name) WHERE is_current;
CREATE TABLE simple_sourcing.views (
    projection text NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (projection, name)
);
CREATE TABLE simple_sourcing.positions (
    projection text NOT NULL,
    version bigint NOT NULL,
    aggregate text NOT NULL,
    partition bigint NOT NULL,
    next bigint NOT NULL,
    command_offset bigint NOT NULL,
    sequence bigint NOT NULL,
    epoch bigint NOT NULL,
    command_id text,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (projection, version, aggregate, partition)
);
CREATE TABLE simple_sourcing.parked (
    projection text NOT NULL,
    version bigint NOT NULL,
    aggregate text NOT NULL,
    partition bigint NOT NULL,
    event_offset bigint NOT NULL,
    command_offset bigint NOT NULL,
    sequence bigint NOT NULL,
    key text NOT NULL,
    event_name text NOT NULL,
    payload bytea NOT NULL,
    content_type text NOT NULL,
    schema_version bigint NOT NULL,
    cause text NOT NULL,
    is_retried boolean NOT NULL DEFAULT FALSE,
    parked_at timestamptz NOT NULL,
    PRIMARY KEY (projection, version, aggregate, partition, event_offset)
);
CREATE TABLE simple_sourcing.status (
    projection text NOT NULL,
    version bigint NOT NULL,
    aggregate text NOT NULL,
    partition bigint NOT NULL,
    process text NOT NULL,
    state text NOT NULL,
    retrying_since_ms bigint,
    log_end bigint,
    last_event_ms bigint,
    events_per_second double precision NOT NULL,
    last_error text,
    failed_offset bigint,
    failed_event text,
    reported_at timestamptz NOT NULL,
    PRIMARY KEY (projection, version, aggregate, partition)
);
CREATE TABLE simple_sourcing.skipped (
    projection text NOT NULL,
    version bigint NOT NULL,
    aggregate text NOT NULL,
    partition bigint NOT NULL,
    event_offset bigint NOT NULL,
    reason text NOT NULL,
    skipped_at timestamptz NOT NULL,
    PRIMARY KEY (projection, version, aggregate, partition, event_offset)
);
