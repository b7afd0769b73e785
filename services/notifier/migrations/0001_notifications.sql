-- Notifications as they are now. Columns are named as in schemas/notification.avsc; notifications.v1 has every version.
CREATE TABLE notification (
    notification_id uuid PRIMARY KEY,
    tenant          text NOT NULL,
    version         bigint NOT NULL CHECK (version >= 1),
    kind            text NOT NULL,
    state           text NOT NULL CHECK (state IN ('OPEN', 'ACKNOWLEDGED', 'SNOOZED', 'RESOLVED')),
    severity        text NOT NULL CHECK (severity IN ('INFO', 'WARNING', 'CRITICAL', 'UNKNOWN')),
    device_id       text,
    group_id        text,
    title           text NOT NULL,
    body            text NOT NULL,
    dedup_key       text NOT NULL,
    occurrences     bigint NOT NULL,
    opened_at       timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    resolved_at     timestamptz,
    snoozed_until   timestamptz,
    acknowledged_by text,
    suppressed_by   text,
    labels          jsonb NOT NULL,
    links           jsonb NOT NULL,
    change          jsonb NOT NULL,
    source_event_id uuid NOT NULL
);

-- At most one unresolved notification per key.
CREATE UNIQUE INDEX notification_unresolved ON notification (tenant, dedup_key) WHERE state <> 'RESOLVED';
-- The order of every list.
CREATE INDEX notification_listed ON notification (tenant, opened_at DESC, notification_id DESC);
CREATE INDEX notification_listed_unresolved ON notification (tenant, opened_at DESC, notification_id DESC) WHERE state <> 'RESOLVED';
CREATE INDEX notification_of_device ON notification (tenant, device_id, opened_at DESC, notification_id DESC);
CREATE INDEX notification_counted ON notification (tenant, state, severity);

-- How far each key's source has come, whether or not it has a notification. Its row's lock is the lock on the key:
-- whoever changes a notification of the key holds it.
CREATE TABLE notification_key (
    tenant          text NOT NULL,
    dedup_key       text NOT NULL,
    -- The unresolved notification, else the one resolved last.
    notification_id uuid,
    started_at      timestamptz,
    changed_at      timestamptz,
    ended           boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant, dedup_key)
);

-- The audit log: who did what, when and why. One row per version.
CREATE TABLE notification_event (
    notification_id uuid NOT NULL,
    version         bigint NOT NULL,
    at              timestamptz NOT NULL,
    state           text NOT NULL,
    severity        text NOT NULL,
    occurrences     bigint NOT NULL,
    action          text NOT NULL,
    actor           text NOT NULL,
    reason          text,
    trace_id        text,
    -- ce_id of the cause. An event has its effect once.
    source_event_id uuid NOT NULL UNIQUE,
    PRIMARY KEY (notification_id, version)
);
