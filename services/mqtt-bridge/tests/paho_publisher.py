"""A publisher with plain paho-mqtt: each quality of service, a retained message, a birth, and a will that is executed."""

import sys
import threading
from urllib.parse import urlparse

import paho.mqtt.client as mqtt

broker, root = urlparse(sys.argv[1]), sys.argv[2]


def connect(protocol: int, name: str, will: bool) -> mqtt.Client:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"{root}-{name}", protocol=protocol)
    if will:
        client.will_set(f"{root}/{name}/status", "offline", qos=1, retain=True)
    # What is published before the broker has answered is in nobody's hands yet.
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.connect(broker.hostname, broker.port or 1883)
    client.loop_start()
    assert connected.wait(30), f"{name} is not let in"
    return client


def wait_for_bridge() -> None:
    online = threading.Event()
    observer = connect(mqtt.MQTTv5, "observer", will=False)
    observer.on_message = lambda _client, _data, message: online.set() if message.payload == b"online" else None
    observer.subscribe(f"{root}/bridge", qos=1)
    assert online.wait(30), "the bridge does not say that it is online"
    observer.disconnect()


wait_for_bridge()
for protocol, name in ((mqtt.MQTTv311, "v311"), (mqtt.MQTTv5, "v5")):
    client = connect(protocol, name, will=True)
    sent = [client.publish(f"{root}/{name}/status", "online", qos=1, retain=True)]
    for qos in (0, 1, 2):
        payload = f'{{"temperature": {20 + qos}, "seq": {qos}}}'
        sent.append(client.publish(f"{root}/{name}/telemetry", payload, qos=qos))
    sent.append(client.publish(f"{root}/{name}/telemetry", '{"temperature": 23, "seq": 3}', qos=1, retain=True))
    for message in sent:
        message.wait_for_publish(30)
        assert message.is_published(), f"{name} has no answer to a message"
    # Gone without a word, so that the broker publishes the will.
    client.loop_stop()
    client.socket().close()
