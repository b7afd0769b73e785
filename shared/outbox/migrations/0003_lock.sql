-- As before, in one statement for all keys: a third of the time. The sort comes before the first lock is taken: an aggregate
-- takes its rows as they come, and a DISTINCT gives none before it has seen all.
CREATE OR REPLACE FUNCTION outbox_lock(aggregate_types text[], aggregate_ids text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_current_xact_id();
    PERFORM count(pg_advisory_xact_lock(key))
    FROM (
        SELECT DISTINCT hashtextextended(aggregate_type || chr(31) || aggregate_id, 0) AS key
        FROM unnest(aggregate_types, aggregate_ids) AS a (aggregate_type, aggregate_id)
        ORDER BY key
    ) AS keys;
END
$$;
