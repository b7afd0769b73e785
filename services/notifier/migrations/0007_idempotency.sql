-- What requests with an Idempotency-Key were answered; written in the transaction of their effect.
CREATE TABLE idempotency (
    key_id          uuid NOT NULL,
    idempotency_key text NOT NULL,
    body_hash       bytea NOT NULL,
    status          integer NOT NULL,
    answer          jsonb NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (key_id, idempotency_key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);
