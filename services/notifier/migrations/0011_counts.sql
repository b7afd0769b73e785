-- How many notifications of each state and severity there are, as changes to be added up: counting a million rows takes
-- longer than a dashboard waits. Whoever changes notifications adds lines of its own, so that nobody waits for anybody; from
-- time to time the lines are replaced by their sums.
CREATE TABLE notification_count (
    tenant   text NOT NULL,
    state    text NOT NULL,
    severity text NOT NULL,
    count    bigint NOT NULL
);
CREATE INDEX notification_count_of ON notification_count (tenant);

CREATE FUNCTION notification_counted_in() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO notification_count
    SELECT tenant, state, severity, count(*) FROM new_rows GROUP BY tenant, state, severity;
    RETURN NULL;
END $$;

CREATE FUNCTION notification_counted_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO notification_count
    SELECT tenant, state, severity, -count(*) FROM old_rows GROUP BY tenant, state, severity;
    RETURN NULL;
END $$;

CREATE FUNCTION notification_counted_over() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO notification_count
    SELECT tenant, state, severity, sum(count)
    FROM (SELECT tenant, state, severity, 1 AS count FROM new_rows
          UNION ALL
          SELECT tenant, state, severity, -1 FROM old_rows) AS change
    GROUP BY tenant, state, severity HAVING sum(count) <> 0;
    RETURN NULL;
END $$;

CREATE FUNCTION notification_counted_none() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM notification_count;
    RETURN NULL;
END $$;

CREATE TRIGGER counted_in AFTER INSERT ON notification
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION notification_counted_in();
CREATE TRIGGER counted_out AFTER DELETE ON notification
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION notification_counted_out();
CREATE TRIGGER counted_over AFTER UPDATE ON notification
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION notification_counted_over();
CREATE TRIGGER counted_none AFTER TRUNCATE ON notification FOR EACH STATEMENT EXECUTE FUNCTION notification_counted_none();

INSERT INTO notification_count SELECT tenant, state, severity, count(*) FROM notification GROUP BY tenant, state, severity;
DROP INDEX notification_counted;

-- Lists of a group's notifications; a group is a room among many.
CREATE INDEX notification_of_group ON notification (tenant, group_id, opened_at DESC, notification_id DESC);
