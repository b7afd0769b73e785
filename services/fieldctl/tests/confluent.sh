#!/usr/bin/env bash
# Publishes one golden example of every event under a prefix of its own and lets Confluent's Python client read them.
# Needs the infrastructure's addresses (scripts/infra env) and a built fieldctl; BIN names the folder it is in.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../../.." && pwd)
FIELDCTL=${BIN:-${CARGO_TARGET_DIR:-$ROOT/target}/debug}/fieldctl
VENV=${FIELDWATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fieldwatch}/venv-confluent

: "${FIELDWATCH__KAFKA__BROKERS:?is not set: eval \"\$(scripts/infra env)\"}"
: "${FIELDWATCH__REGISTRY__URL:?is not set: eval \"\$(scripts/infra env)\"}"
[[ -x $FIELDCTL ]] || { echo "confluent: $FIELDCTL is not built: cargo build -p fieldctl" >&2 && exit 1; }

# The environment is complete only when its copy of the requirements says so.
prepare_python() {
  cmp -s "$HERE/requirements.txt" "$VENV/requirements.txt" && return
  mkdir -p "$(dirname "$VENV")"
  (
    flock 9
    cmp -s "$HERE/requirements.txt" "$VENV/requirements.txt" && exit
    rm -rf "$VENV"
    python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check -r "$HERE/requirements.txt"
    cp "$HERE/requirements.txt" "$VENV/requirements.txt"
  ) 9>"$VENV.lock"
}

export FIELDWATCH__KAFKA__TOPIC_PREFIX=confluent-$$-$RANDOM-
prepare_python
trap '"$FIELDCTL" topics delete --yes >/dev/null' EXIT
"$FIELDCTL" topics apply >/dev/null
"$FIELDCTL" schemas apply >/dev/null
"$FIELDCTL" golden publish --dir "$ROOT/schemas/golden" >/dev/null
"$VENV/bin/python" "$HERE/confluent_consumer.py" "$ROOT/schemas/golden" \
  "$FIELDWATCH__KAFKA__TOPIC_PREFIX" "$FIELDWATCH__KAFKA__BROKERS" "$FIELDWATCH__REGISTRY__URL"
