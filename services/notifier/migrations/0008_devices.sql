-- How devices' connections changed, for their timelines. Kept for `devices.keep`; how they are now is in the topic.
CREATE TABLE device_status_change (
    tenant     text NOT NULL,
    device_id  text NOT NULL,
    changed_at timestamptz NOT NULL,
    state      text NOT NULL,
    reason     text,
    PRIMARY KEY (tenant, device_id, changed_at, state)
);
CREATE INDEX device_status_change_age ON device_status_change (changed_at);
