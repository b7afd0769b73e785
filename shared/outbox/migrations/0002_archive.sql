-- A writer's transaction has its number before it draws ids: whoever reads a row can tell, by the numbers of the
-- transactions that run, whether a lower id may still become visible.
CREATE OR REPLACE FUNCTION outbox_lock(aggregate_types text[], aggregate_ids text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    key bigint;
BEGIN
    PERFORM pg_current_xact_id();
    FOR key IN
        SELECT DISTINCT hashtextextended(aggregate_type || chr(31) || aggregate_id, 0)
        FROM unnest(aggregate_types, aggregate_ids) AS a (aggregate_type, aggregate_id)
        ORDER BY 1
    LOOP
        PERFORM pg_advisory_xact_lock(key);
    END LOOP;
END
$$;

-- Published rows, where the relay is told to keep them. One partition a day (UTC): forgetting a day costs nothing.
CREATE TABLE outbox_archive (
    id             bigint      NOT NULL,
    event_id       uuid        NOT NULL,
    aggregate_type text        NOT NULL,
    aggregate_id   text        NOT NULL,
    type           text        NOT NULL,
    topic          text        NOT NULL,
    payload        bytea       NOT NULL,
    headers        jsonb       NOT NULL,
    created_at     timestamptz NOT NULL,
    published_at   timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (published_at);

CREATE INDEX outbox_archive_by_topic ON outbox_archive (topic, published_at);

-- Makes the partitions of today and the next three days, and drops those that ended longer than `keep` ago.
CREATE FUNCTION outbox_archive_roll(keep interval) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    today   date := (now() AT TIME ZONE 'UTC')::date;
    day     date;
    expired regclass;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('outbox_archive_roll', 0));
    FOR day IN SELECT today + n FROM generate_series(0, 3) AS n LOOP
        IF to_regclass('outbox_archive_' || to_char(day, 'YYYYMMDD')) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF outbox_archive FOR VALUES FROM (%L) TO (%L)',
                'outbox_archive_' || to_char(day, 'YYYYMMDD'), day || ' 00:00+00', (day + 1) || ' 00:00+00');
        END IF;
    END LOOP;
    FOR expired IN
        SELECT inhrelid::regclass FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'outbox_archive'::regclass
          AND relname < 'outbox_archive_' || to_char((now() - keep) AT TIME ZONE 'UTC', 'YYYYMMDD')
    LOOP
        EXECUTE format('DROP TABLE %s', expired);
    END LOOP;
END
$$;
