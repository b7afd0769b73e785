"""What a run needs beyond its configuration."""

from urllib.parse import urlsplit

import schemathesis

NOBODY = "http://127.0.0.1:9/"
# What is refused before an operation is asked: the method, the size, the kind of the body.
GENERAL_REFUSALS = ("405", "413", "415")


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """`default` would describe every status there is, a success too: only the general refusals are left of it."""
    for operations in raw_schema["paths"].values():
        for operation in operations.values():
            refusal = operation["responses"].pop("default")
            for status in GENERAL_REFUSALS:
                operation["responses"].setdefault(status, refusal)


@schemathesis.hook
def before_call(context, case, kwargs):
    """The notifier posts to the addresses of webhooks: one that could lead anywhere becomes one where nobody listens."""
    if case.operation.path == "/v1/webhooks/{name}" and isinstance(case.body, dict) and leads_somewhere(case.body.get("url")):
        case.body["url"] = NOBODY


def leads_somewhere(url):
    if not isinstance(url, str):
        return False
    try:
        return bool(urlsplit(url).netloc)
    except ValueError:
        return True
