-- Nothing of the slot is or may become visible up to this id. Whoever takes the slot over reads from here: what was deleted
-- below it and is still seen by someone need not be walked over.
ALTER TABLE outbox_lease ADD COLUMN mark bigint NOT NULL DEFAULT 0;
