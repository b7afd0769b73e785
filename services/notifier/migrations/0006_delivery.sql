-- Versions that have to be told, until they are in their groups. Written in the transaction that made the version.
CREATE TABLE dispatch (
    position        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant          text NOT NULL,
    notification_id uuid NOT NULL,
    news            bigint NOT NULL
);

-- Groups with something to tell. Who holds a row's lock owns the group: its turn is one transaction.
CREATE TABLE delivery_group (
    group_id      uuid PRIMARY KEY,
    tenant        text NOT NULL,
    route         text NOT NULL,
    receiver      text NOT NULL,
    group_key     text NOT NULL,
    next_flush_at timestamptz NOT NULL,
    told_at       timestamptz
);
CREATE INDEX delivery_group_due ON delivery_group (next_flush_at);

CREATE TABLE delivery_member (
    group_id        uuid NOT NULL REFERENCES delivery_group ON DELETE CASCADE,
    notification_id uuid NOT NULL,
    -- Version of the last change that has to be told, and the one that was.
    news            bigint NOT NULL,
    told            bigint,
    PRIMARY KEY (group_id, notification_id)
);

-- How many deliveries a receiver had in its minute, and what was held back for its summary.
CREATE TABLE receiver_pace (
    tenant   text NOT NULL,
    receiver text NOT NULL,
    began_at timestamptz,
    sent     integer NOT NULL DEFAULT 0,
    held     integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, receiver)
);
CREATE INDEX receiver_pace_held ON receiver_pace (began_at) WHERE held > 0;
CREATE TABLE held_notification (
    tenant          text NOT NULL,
    receiver        text NOT NULL,
    notification_id uuid NOT NULL,
    PRIMARY KEY (tenant, receiver, notification_id)
);

CREATE TABLE heartbeat (
    tenant   text NOT NULL,
    receiver text NOT NULL,
    next_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, receiver)
);

-- Escalations under way: how many steps are done, and when the next one is.
CREATE TABLE escalation_timer (
    notification_id uuid NOT NULL,
    escalation      text NOT NULL,
    tenant          text NOT NULL,
    started_at      timestamptz NOT NULL,
    done            integer NOT NULL DEFAULT 0,
    due_at          timestamptz NOT NULL,
    PRIMARY KEY (notification_id, escalation)
);
CREATE INDEX escalation_timer_due ON escalation_timer (due_at);

-- A webhook's health, and the replica that sends to it. A lease is good by the database's clock; its epoch fences who
-- lost it.
CREATE TABLE webhook_endpoint (
    tenant      text NOT NULL,
    webhook     text NOT NULL,
    lease_owner uuid,
    lease_until timestamptz,
    epoch       bigint NOT NULL DEFAULT 0,
    failures    integer NOT NULL DEFAULT 0,
    open_until  timestamptz,
    disabled_at timestamptz,
    PRIMARY KEY (tenant, webhook)
);

CREATE TABLE webhook_delivery (
    -- `webhook-id`: the same for every attempt.
    delivery_id     uuid PRIMARY KEY,
    tenant          text NOT NULL,
    webhook         text NOT NULL,
    receiver        text,
    type            text NOT NULL,
    group_key       text,
    body            text NOT NULL,
    state           text NOT NULL CHECK (state IN ('PENDING', 'DELIVERED', 'FAILED')),
    attempts        integer NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now(),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    give_up_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    last_status     integer,
    last_error      text
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (tenant, webhook, next_attempt_at) WHERE state = 'PENDING';
CREATE INDEX webhook_delivery_listed ON webhook_delivery (tenant, webhook, created_at DESC, delivery_id DESC);
CREATE INDEX webhook_delivery_age ON webhook_delivery (created_at);

CREATE TABLE webhook_attempt (
    delivery_id uuid NOT NULL REFERENCES webhook_delivery ON DELETE CASCADE,
    attempt     integer NOT NULL,
    at          timestamptz NOT NULL,
    duration_ms bigint NOT NULL,
    status      integer,
    error       text,
    PRIMARY KEY (delivery_id, attempt)
);
