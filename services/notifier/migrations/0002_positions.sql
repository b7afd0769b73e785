-- How far each input partition has taken effect; moves in the transaction that has the effect.
CREATE TABLE stream_position (
    topic       text NOT NULL,
    "partition" integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, "partition")
);
