-- Events written in the transaction that makes them true, waiting to be published.
--
-- Only event_id to headers need to be known to insert a row; Debezium's outbox event router reads the same columns.
CREATE TABLE outbox (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id       uuid        NOT NULL,
    aggregate_type text        NOT NULL,
    aggregate_id   text        NOT NULL,
    type           text        NOT NULL,
    topic          text        NOT NULL,
    payload        bytea       NOT NULL,
    headers        jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(headers) = 'object'),
    created_at     timestamptz NOT NULL DEFAULT now(),
    -- The share of work an aggregate belongs to. An aggregate never changes its slot.
    slot           smallint    NOT NULL GENERATED ALWAYS AS ((hashtext(aggregate_id) & 63)::smallint) STORED
) WITH (
    -- A queue is nearly empty and nearly all garbage: vacuum by count, not by share, and without naps.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX outbox_by_slot ON outbox (slot, id);

-- Who may publish a slot's rows. The epoch grows with every change of owner and fences the owner before.
CREATE TABLE outbox_lease (
    slot       smallint    PRIMARY KEY CHECK (slot BETWEEN 0 AND 63),
    owner      text,
    epoch      bigint      NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL DEFAULT '-infinity'
);

INSERT INTO outbox_lease (slot) SELECT generate_series(0, 63);

-- The relays that live, with or without slots: a fair share is a share among these.
CREATE TABLE outbox_member (
    owner      text        PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

-- Rows that could not be published, with what was said about them. `id` is the row's former id.
CREATE TABLE outbox_dead (
    id             bigint      PRIMARY KEY,
    event_id       uuid        NOT NULL,
    aggregate_type text        NOT NULL,
    aggregate_id   text        NOT NULL,
    type           text        NOT NULL,
    topic          text        NOT NULL,
    payload        bytea       NOT NULL,
    headers        jsonb       NOT NULL,
    created_at     timestamptz NOT NULL,
    error          text        NOT NULL,
    attempts       integer     NOT NULL,
    failed_at      timestamptz NOT NULL DEFAULT now()
);

-- Makes writers of the same aggregate take turns until they commit, so that an aggregate's rows become visible in the
-- order of their ids. Locks are taken in one order everywhere: two writers of the same aggregates cannot deadlock.
CREATE FUNCTION outbox_lock(aggregate_types text[], aggregate_ids text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    key bigint;
BEGIN
    FOR key IN
        SELECT DISTINCT hashtextextended(aggregate_type || chr(31) || aggregate_id, 0)
        FROM unnest(aggregate_types, aggregate_ids) AS a (aggregate_type, aggregate_id)
        ORDER BY 1
    LOOP
        PERFORM pg_advisory_xact_lock(key);
    END LOOP;
END
$$;
