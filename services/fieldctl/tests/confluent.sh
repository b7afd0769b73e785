#!/usr/bin/env bash
# Publishes one golden example of every event under a prefix of its own and lets Confluent's Python client read them.
# Needs the infrastructure's addresses (scripts/infra env) and a built fieldctl; BIN names the folder it is in.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CHECK=confluent
# shellcheck source=scripts/lib/outside.sh
source "$HERE/../../../scripts/lib/outside.sh"
needs FIELDWATCH__KAFKA__BROKERS FIELDWATCH__REGISTRY__URL
built fieldctl

export FIELDWATCH__KAFKA__TOPIC_PREFIX=confluent-$$-$RANDOM-
prepare_python confluent
trap '"$BIN/fieldctl" topics delete --yes >/dev/null' EXIT
"$BIN/fieldctl" topics apply >/dev/null
"$BIN/fieldctl" schemas apply >/dev/null
"$BIN/fieldctl" golden publish --dir "$ROOT/schemas/golden" >/dev/null
"$VENV/bin/python" "$HERE/confluent_consumer.py" "$ROOT/schemas/golden" \
  "$FIELDWATCH__KAFKA__TOPIC_PREFIX" "$FIELDWATCH__KAFKA__BROKERS" "$FIELDWATCH__REGISTRY__URL"
