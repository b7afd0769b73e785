"""Puts a new service beside the ones there are: register.py ROOT NAME PORT. Each place looks as temperature-alert's does."""

import pathlib
import re
import sys

ROOT, NAME, PORT = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
LIKE, LIKE_PORT = "temperature-alert", "9102"


def change(file, edit):
    path = ROOT / file
    before = path.read_text()
    after = edit(before)
    assert after != before, f"{file}: no place for {NAME}"
    path.write_text(after)


def renamed(text):
    upper = [name.upper().replace("-", "_") for name in (LIKE, NAME)]
    return text.replace(LIKE, NAME).replace(*upper).replace(LIKE_PORT, PORT)


def after_like(pattern):
    """Repeats what matches, under the new name, right after it."""
    return lambda text: re.sub(pattern, lambda match: match.group(0) + renamed(match.group(0)), text, count=1, flags=re.M)


def topics(text):
    text = re.sub(r"(name: telemetry\.readings\.v1,.*readers: \[[^]]*)", rf"\1, {NAME}", text, count=1)
    for kind in ["dlq", "retry"]:
        text = after_like(rf"^  - {{ name: {kind}\.{LIKE}\.v1,.*\n")(text)
    return text


change("schemas/topics.yaml", topics)
change("scripts/lib/instance.sh", after_like(rf"^{LIKE} .*\n"))
change("scripts/lib/suite.sh", lambda text: re.sub(r"^SERVICES=\((.*)\)$", rf"SERVICES=(\1 {NAME})", text, count=1, flags=re.M))
change("docker-compose.yml", after_like(rf"^  {LIKE}:\n(?:    .*\n)+\n"))
change("k8s/components/observability/prometheus.yaml", after_like(rf"^ .*{LIKE}:.*\n"))
change("k8s/base/kustomization.yaml", after_like(rf"^  - {LIKE}\.yaml\n"))
change("k8s/base/kustomization.yaml", after_like(rf"^  - {{ name: fieldwatch/{LIKE},.*\n"))
change("k8s/base/settings.env", after_like(rf"^{LIKE.upper().replace('-', '_')}__.*\n"))
change("k8s/overlays/production/kustomization.yaml", after_like(rf"^  - {{ name: fieldwatch/{LIKE},.*\n"))
change("k8s/components/tls/settings.env", after_like(rf"^{LIKE.upper().replace('-', '_')}__.*\n"))
change("k8s/components/tls/kustomization.yaml", after_like(rf"^  - patch: \|\n(?:      .*\n){{2}}      metadata: {{ name: {LIKE} }}\n      .*\n"))
manifest = (ROOT / f"k8s/base/{LIKE}.yaml").read_text()
(ROOT / f"k8s/base/{NAME}.yaml").write_text(renamed(manifest))
