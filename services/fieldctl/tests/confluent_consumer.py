"""Reads every event topic with Confluent's own deserializer and compares each value with its golden example.

usage: confluent_consumer.py GOLDEN_DIR PREFIX BROKERS REGISTRY_URL

What decodes a value is only the id in its first bytes and the registry: the schema files are not read here.
"""

import datetime
import json
import pathlib
import struct
import sys
import uuid

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

TOPICS = {
    "reading": "telemetry.readings.v1",
    "device-status": "telemetry.device-status.v1",
    "blob": "telemetry.blobs.v1",
    "temperature-alert": "alerts.temperature.v1",
    "anomaly": "anomalies.v1",
    "aggregate": "telemetry.aggregates.v1",
    "sensor-health": "sensor-health.v1",
    "notification": "notifications.v1",
    "command": "commands.v1",
    "scene": "scenes.v1",
    "outbound-command": "commands.outbound.v1",
    "device-state": "telemetry.device-state.v1",
    "command-result": "command-results.v1",
}
HEADERS = {"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type", "correlation-id"}
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
PATIENCE_SECONDS = 30.0


def plain(value):
    """A decoded value as the golden JSON has it: times as microseconds, UUIDs as text."""
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(microseconds=1)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def the_only_record(brokers, topic):
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "confluent-consumer-test", "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(topic, timeout=PATIENCE_SECONDS).topics[topic].partitions
        assert partitions, f"{topic} does not exist"
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        message = consumer.poll(PATIENCE_SECONDS)
        assert message is not None, f"{topic}: no record within {PATIENCE_SECONDS} s"
        assert message.error() is None, f"{topic}: {message.error()}"
        return message
    finally:
        consumer.close()


def check(event, topic, golden, brokers, registry):
    message = the_only_record(brokers, topic)
    magic, schema_id = struct.unpack(">bI", message.value()[:5])
    assert magic == 0, f"{topic}: magic byte {magic}"
    # By default the client asks for associations, which only Confluent's own registry has.
    strategy = {"subject.name.strategy": topic_subject_name_strategy}
    value = AvroDeserializer(registry, conf=strategy)(message.value(), SerializationContext(topic, MessageField.VALUE))
    decoded = plain(value)
    for field, expected in golden.items():
        assert decoded.get(field) == expected, f"{topic}: {field} is {decoded.get(field)!r}, not {expected!r}"
    assert decoded.keys() == golden.keys(), f"{topic}: fields {decoded.keys() ^ golden.keys()}"

    headers = {name: text.decode() for name, text in message.headers()}
    assert HEADERS <= headers.keys(), f"{topic}: without the headers {HEADERS - headers.keys()}"
    assert headers["ce_type"] == f"fieldwatch.{event}.v1" and headers["content-type"] == "application/avro", headers
    print(f"ok  {topic}: schema id {schema_id}, {len(decoded)} fields")


def main(golden_dir, prefix, brokers, registry_url):
    registry = SchemaRegistryClient({"url": registry_url, "timeout": 10})
    for event, topic in TOPICS.items():
        golden = json.loads(pathlib.Path(golden_dir, f"{event}-1.json").read_text())
        check(event, prefix + topic, golden, brokers, registry)


if __name__ == "__main__":
    main(*sys.argv[1:])
