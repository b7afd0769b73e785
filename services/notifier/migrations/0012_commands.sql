-- Commands to devices, as they were issued and as their results have it. Kept for `commands.keep`; commands.v1 and
-- command-results.v1 have what was said.
CREATE TABLE device_command (
    command_id    uuid PRIMARY KEY,
    tenant        text NOT NULL,
    device_id     text NOT NULL,
    name          text NOT NULL,
    arguments     jsonb NOT NULL,
    desired_state jsonb,
    issued_by     text NOT NULL,
    issued_at     timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    -- The run of a scene it is part of, and its place among the members.
    scene_id      uuid,
    member        integer,
    state         text NOT NULL DEFAULT 'PENDING'
                  CHECK (state IN ('PENDING', 'ACCEPTED', 'VERIFIED', 'FAILED', 'TIMED_OUT', 'REFUSED')),
    -- Of the last result that changed it.
    attempt       integer NOT NULL DEFAULT 0,
    detail        text NOT NULL DEFAULT '',
    breaker       text,
    updated_at    timestamptz NOT NULL
);
CREATE INDEX device_command_listed ON device_command (tenant, issued_at DESC, command_id DESC);
CREATE INDEX device_command_of_device ON device_command (tenant, device_id, issued_at DESC, command_id DESC);
CREATE INDEX device_command_of_scene ON device_command (scene_id, member) WHERE scene_id IS NOT NULL;
CREATE INDEX device_command_age ON device_command (issued_at);

-- Every result, the late ones too. One that comes again has the id of the first.
CREATE TABLE device_command_result (
    command_id uuid NOT NULL REFERENCES device_command ON DELETE CASCADE,
    result_id  uuid NOT NULL,
    outcome    text NOT NULL,
    attempt    integer NOT NULL,
    detail     text NOT NULL,
    breaker    text NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (command_id, result_id)
);

CREATE TABLE scene_run (
    scene_id  uuid PRIMARY KEY,
    tenant    text NOT NULL,
    name      text NOT NULL,
    issued_by text NOT NULL,
    issued_at timestamptz NOT NULL
);
CREATE INDEX scene_run_age ON scene_run (issued_at);

-- What has to be told may also be acted on: the command continues the trace of what it answers.
ALTER TABLE dispatch ADD COLUMN correlation_id text;
ALTER TABLE dispatch ADD COLUMN traceparent text;
