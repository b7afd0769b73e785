"""SQL that inserts notifications into the outbox, as any writer in any language could: only the columns of the contract.

The payloads are the golden notification with ids of their own, encoded by schemas/notification.avsc in the Confluent
wire format under the id that the registry gave that schema.

usage: outbox_rows.py REGISTRY_URL COUNT
"""

import json
import pathlib
import struct
import sys
import urllib.request
import uuid

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"
TOPIC = "notifications.v1"


def zigzag(number):
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode(schema, value, named):
    """The Avro binary form of a JSON value; named holds the records and enums met so far."""
    if isinstance(schema, list):
        index = schema.index("null") if value is None else next(i for i, branch in enumerate(schema) if branch != "null")
        return zigzag(index) + encode(schema[index], value, named)
    if isinstance(schema, str):
        schema = named.get(schema.rsplit(".", 1)[-1], {"type": schema})
    kind = schema["type"]
    if isinstance(kind, (dict, list)):
        return encode(kind, value, named)
    if "name" in schema and kind in ("record", "enum"):
        named[schema["name"]] = schema
    if kind == "record":
        return b"".join(encode(field["type"], value[field["name"]], named) for field in schema["fields"])
    if kind == "enum":
        return zigzag(schema["symbols"].index(value))
    if kind == "map":
        items = b"".join(encode("string", key, named) + encode(schema["values"], item, named) for key, item in value.items())
        return (zigzag(len(value)) + items if value else b"") + b"\0"
    if kind == "string":
        return zigzag(len(value.encode())) + value.encode()
    if kind in ("long", "int"):
        return zigzag(value)
    if kind == "null":
        return b""
    raise ValueError(f"no encoding for {kind}")


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def main(registry, count):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{registry}/subjects/{TOPIC}-value/versions/latest", timeout=10) as answer:
        schema_id = json.load(answer)["id"]
    schema = json.loads((SCHEMAS / "notification.avsc").read_text())
    golden = json.loads((SCHEMAS / "golden" / "notification-1.json").read_text())
    for version in range(1, count + 1):
        event_id, aggregate_id = str(uuid.uuid4()), str(uuid.uuid4())
        event = golden | {"notification_id": aggregate_id, "version": 1, "dedup_key": f"outbox/{version}"}
        payload = b"\0" + struct.pack(">I", schema_id) + encode(schema, event, {})
        headers = {
            "ce_specversion": "1.0",
            "ce_id": event_id,
            "ce_source": "/fieldwatch/notifier",
            "ce_type": "fieldwatch.notification.v1",
            "ce_time": "2026-01-31T08:15:35Z",
            "ce_subject": event["device_id"],
            "content-type": "application/avro",
            "correlation-id": event_id,
        }
        print(
            "INSERT INTO outbox (event_id, aggregate_type, aggregate_id, type, topic, payload, headers, created_at) VALUES ("
            f"{quoted(event_id)}, 'notification', {quoted(aggregate_id)}, 'fieldwatch.notification.v1', {quoted(TOPIC)}, "
            f"decode({quoted(payload.hex())}, 'hex'), {quoted(json.dumps(headers))}, now());"
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
