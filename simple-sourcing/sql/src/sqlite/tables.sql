CREATE TABLE simple_sourcing_layout (
    number integer PRIMARY KEY
) STRICT;
CREATE TABLE simple_sourcing_projections (
    name text NOT NULL,
    version integer NOT NULL,
    tables text NOT NULL,
    aggregates text NOT NULL DEFAULT '',
    epoch integer NOT NULL DEFAULT 0,
    is_paused integer NOT NULL DEFAULT FALSE,
    created_at text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (name, version)
) STRICT;
CREATE TABLE simple_sourcing_positions (
    projection text NOT NULL,
    version integer NOT NULL,
    aggregate text NOT NULL,
    partition integer NOT NULL,
    next integer NOT NULL,
    command_offset integer NOT NULL,
    sequence integer NOT NULL,
    epoch integer NOT NULL,
    updated_at text NOT NULL,
    PRIMARY KEY (projection, version, aggregate, partition)
) STRICT;
CREATE TABLE simple_sourcing_parked (
    projection text NOT NULL,
    version integer NOT NULL,
    aggregate text NOT NULL,
    partition integer NOT NULL,
    event_offset integer NOT NULL,
    command_offset integer NOT NULL,
    sequence integer NOT NULL,
    key text NOT NULL,
    event_name text NOT NULL,
    payload blob NOT NULL,
    content_type text NOT NULL,
    schema_version integer NOT NULL,
    cause text NOT NULL,
    is_retried integer NOT NULL DEFAULT FALSE,
    parked_at text NOT NULL,
    PRIMARY KEY (projection, version, aggregate, partition, event_offset)
) STRICT;
CREATE TABLE simple_sourcing_status (
    projection text NOT NULL,
    version integer NOT NULL,
    aggregate text NOT NULL,
    partition integer NOT NULL,
    process text NOT NULL,
    state text NOT NULL,
    retrying_since_ms integer,
    log_end integer,
    last_event_ms integer,
    events_per_second real NOT NULL,
    last_error text,
    failed_offset integer,
    failed_event text,
    reported_at text NOT NULL,
    PRIMARY KEY (projection, version, aggregate, partition)
) STRICT;
CREATE TABLE simple_sourcing_skipped (
    projection text NOT NULL,
    version integer NOT NULL,
    aggregate text NOT NULL,
    partition integer NOT NULL,
    event_offset integer NOT NULL,
    reason text NOT NULL,
    skipped_at text NOT NULL,
    PRIMARY KEY (projection, version, aggregate, partition, event_offset)
) STRICT;
CREATE TABLE simple_sourcing_tables (
    projection text NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (projection, version, name)
) STRICT;
