-- Snoozes whose end has to be noticed.
CREATE INDEX notification_snoozed ON notification (snoozed_until) WHERE state = 'SNOOZED';
-- Until when a version is snoozed: part of what was done.
ALTER TABLE notification_event ADD COLUMN snoozed_until timestamptz;
