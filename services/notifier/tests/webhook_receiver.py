"""Receives what a notifier posts and verifies it with the reference library of Standard Webhooks.

usage: webhook_receiver.py API_URL KEY_FILE

Makes the webhook through the API, with its address on this machine, and asks for every delivery itself.
"""

import http.server
import json
import pathlib
import queue
import sys
import threading
import urllib.request

from standardwebhooks import Webhook, WebhookVerificationError

PATIENCE_SECONDS = 30.0
QUICKLY = {"receiver": "ops", "group_wait": "200ms"}


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes every delivery as it came: the bytes of its body, and its headers."""

    deliveries = queue.Queue()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.deliveries.put((self.path, body, dict(self.headers.items())))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Api:
    def __init__(self, url, key):
        self.url = url
        self.key = key
        # Whatever proxy the environment names is not for this machine.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/v1/{path}", data, headers, method=method)
        with self.opener.open(request, timeout=PATIENCE_SECONDS) as answer:
            return json.load(answer)

    def make_webhook(self, name, port):
        """Its secret, which is told this once."""
        return self.ask("PUT", f"webhooks/{name}", {"url": f"http://127.0.0.1:{port}/{name}"})["secret"]

    def rotate(self, name):
        return self.ask("POST", f"webhooks/{name}/rotate-secret")["secret"]


def verified(secret, body, headers):
    """What the delivery says; the library raises when the signature is not of this secret."""
    return Webhook(secret).verify(body, headers)


def refused(secret, body, headers):
    try:
        verified(secret, body, headers)
    except WebhookVerificationError:
        return True
    return False


def delivery(webhook, expected_type):
    """The next delivery, which must be one of that type to that webhook."""
    path, body, headers = Receiver.deliveries.get(timeout=PATIENCE_SECONDS)
    told = (path, json.loads(body)["type"])
    assert told == (f"/{webhook}", expected_type), f"a delivery {told}, not of type {expected_type} to {webhook}"
    return body, headers


def test_delivery(api, webhook):
    made = api.ask("POST", f"webhooks/{webhook}/test")
    body, headers = delivery(webhook, "test")
    assert headers["webhook-id"] == made["delivery_id"], headers
    return body, headers


def check_test(api, port):
    secret = api.make_webhook("hook", port)
    body, headers = test_delivery(api, "hook")
    assert verified(secret, body, headers) == json.loads(body)
    print("ok  a test is verified")

    tampered = {
        "another body": (body.replace(b'"test"', b'"tost"'), headers),
        "a longer body": (body + b" ", headers),
        "another id": (body, {**headers, "webhook-id": "00000000-0000-7000-8000-000000000000"}),
        "another time": (body, {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}),
    }
    for what, (other_body, other_headers) in tampered.items():
        assert (other_body, other_headers) != (body, headers), f"{what} is the same"
        assert refused(secret, other_body, other_headers), f"{what} is taken"
    print(f"ok  {', '.join(tampered)} are refused")
    return secret


def check_notification(api, secret):
    api.ask("PUT", "receivers/ops", {"webhooks": ["hook"]})
    api.ask("PUT", "routes", QUICKLY)
    event = {"action": "trigger", "dedup_key": "door", "severity": "CRITICAL", "title": "Tür 7 ist offen 🚪"}
    notification = api.ask("POST", "events", event)
    body, headers = delivery("hook", "notifications")
    told = verified(secret, body, headers)["notifications"]
    assert [(one["notification_id"], one["title"]) for one in told] == [(notification["notification_id"], event["title"])], told
    print("ok  a notification is verified")


def check_rotation(api, port):
    first = api.make_webhook("rotated", port)
    second = api.rotate("rotated")
    body, headers = test_delivery(api, "rotated")
    verified(second, body, headers)
    verified(first, body, headers)
    print("ok  after a rotation the new secret verifies, and the one before")

    first = api.make_webhook("rotated-twice", port)
    second, third = api.rotate("rotated-twice"), api.rotate("rotated-twice")
    body, headers = test_delivery(api, "rotated-twice")
    verified(third, body, headers)
    verified(second, body, headers)
    assert refused(first, body, headers), "the secret of two rotations ago verifies"
    print("ok  after two the latest two verify, and the first does not")


def main(api_url, key_file):
    api = Api(api_url, pathlib.Path(key_file).read_text().strip())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_port

    secret = check_test(api, port)
    check_notification(api, secret)
    check_rotation(api, port)
    assert Receiver.deliveries.empty(), "more was delivered than was asked for"


if __name__ == "__main__":
    main(*sys.argv[1:])
