-- Statistics of devices' metrics over windows, from telemetry.aggregates.v1. One partition a day, made when a window of
-- that day comes and dropped when it is older than `history.keep`.
CREATE TABLE device_history (
    tenant       text NOT NULL,
    device_id    text NOT NULL,
    metric       text NOT NULL,
    -- Length of the window.
    seconds      int NOT NULL,
    window_start timestamptz NOT NULL,
    -- The highest wins.
    revision     int NOT NULL,
    count        bigint NOT NULL,
    mean         float8 NOT NULL,
    min          float8 NOT NULL,
    max          float8 NOT NULL,
    last         float8 NOT NULL,
    stddev       float8 NOT NULL,
    expected     float8,
    band_low     float8,
    band_high    float8,
    max_score    float8,
    anomaly_id   uuid,
    PRIMARY KEY (tenant, device_id, metric, seconds, window_start)
) PARTITION BY RANGE (window_start);

-- What a ticket opens: the stream of notifications or that of devices.
ALTER TABLE stream_ticket ADD COLUMN stream text NOT NULL DEFAULT 'notifications';
