-- What tenants configure, as the API takes it: receiver, route, silence, escalation, mute_time, webhook.
CREATE TABLE configuration (
    tenant     text NOT NULL,
    kind       text NOT NULL,
    name       text NOT NULL,
    document   jsonb NOT NULL,
    version    bigint NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by text NOT NULL,
    PRIMARY KEY (tenant, kind, name)
);

-- What of a webhook is secret, encrypted (adapters/vault.rs).
CREATE TABLE webhook_secret (
    tenant  text NOT NULL,
    webhook text NOT NULL,
    sealed  bytea NOT NULL,
    PRIMARY KEY (tenant, webhook)
);
