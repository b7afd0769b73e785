-- Deliveries go by e-mail too: what was a webhook's is an endpoint's, of a kind as `configuration` names it.
ALTER TABLE webhook_endpoint RENAME TO delivery_endpoint;
ALTER TABLE delivery_endpoint RENAME COLUMN webhook TO name;
ALTER TABLE delivery_endpoint ADD COLUMN kind text NOT NULL DEFAULT 'webhooks';
ALTER TABLE delivery_endpoint ALTER COLUMN kind DROP DEFAULT;
ALTER TABLE delivery_endpoint DROP CONSTRAINT webhook_endpoint_pkey, ADD PRIMARY KEY (tenant, kind, name);

ALTER TABLE webhook_delivery RENAME TO delivery;
ALTER TABLE delivery RENAME COLUMN webhook TO name;
ALTER TABLE delivery ADD COLUMN kind text NOT NULL DEFAULT 'webhooks';
ALTER TABLE delivery ALTER COLUMN kind DROP DEFAULT;
-- The one address that an e-mail goes to.
ALTER TABLE delivery ADD COLUMN recipient text;
DROP INDEX webhook_delivery_due, webhook_delivery_listed;
CREATE INDEX delivery_due ON delivery (tenant, kind, name, next_attempt_at) WHERE state = 'PENDING';
CREATE INDEX delivery_listed ON delivery (tenant, kind, name, created_at DESC, delivery_id DESC);
ALTER INDEX webhook_delivery_age RENAME TO delivery_age;

ALTER TABLE webhook_attempt RENAME TO delivery_attempt;

-- Counts the changes of a tenant's configuration: who knows the count need not read the rest again.
CREATE TABLE configuration_version (
    tenant  text PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1
);

-- Of a token instead of an API key: whose it is, and when it ends.
ALTER TABLE stream_ticket ALTER COLUMN key_id DROP NOT NULL;
ALTER TABLE stream_ticket ADD COLUMN principal jsonb;
ALTER TABLE stream_ticket ADD COLUMN ends_at timestamptz;
