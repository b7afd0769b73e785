-- API keys, by the SHA-256 of the key itself.
CREATE TABLE api_key (
    key_id     uuid PRIMARY KEY,
    key_hash   bytea NOT NULL UNIQUE,
    tenant     text NOT NULL,
    name       text NOT NULL,
    scopes     text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);

-- Tickets that open streams, by the SHA-256 of the ticket. Good until some time after the last stream they opened ended.
CREATE TABLE stream_ticket (
    ticket_hash bytea PRIMARY KEY,
    key_id      uuid NOT NULL REFERENCES api_key,
    -- The stream's query parameters, as pairs.
    filter      jsonb NOT NULL,
    good_until  timestamptz NOT NULL
);
CREATE INDEX stream_ticket_expiry ON stream_ticket (good_until);

-- Signs cursors. One for all replicas, made by the first of them unless the configuration names a file.
CREATE TABLE signing_secret (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    secret bytea NOT NULL
);
