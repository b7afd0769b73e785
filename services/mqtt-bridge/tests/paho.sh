#!/usr/bin/env bash
# Publishes with plain paho-mqtt (MQTT 3.1.1 and 5, QoS 0, 1 and 2, retained, a will) and looks at what the bridge makes of
# it, with the bridge speaking each version too.
# Needs the infrastructure's addresses (scripts/infra env) and built mqtt-bridge and fieldctl; BIN names their folder.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CHECK=paho
# shellcheck source=scripts/lib/outside.sh
source "$HERE/../../../scripts/lib/outside.sh"
needs FIELDWATCH__KAFKA__BROKERS MQTT_BRIDGE__MQTT__URL
built mqtt-bridge fieldctl

# expect TOPIC COUNT PATTERN...: the first COUNT records of a topic hold each pattern.
expect() {
  local topic=$1 count=$2 found pattern
  shift 2
  found=$("$BIN/fieldctl" tail "$topic" --from-beginning --json --max "$count" --timeout 20s) || { echo "paho: $topic: $found" >&2 && exit 1; }
  for pattern in "$@"; do
    grep -Eq "$pattern" <<<"$found" || { printf 'paho: %s has no %s:\n%s\n' "$topic" "$pattern" "$found" >&2 && exit 1; }
  done
}

# through VERSION: with a bridge that speaks it.
through() (
  name=paho-$$-$RANDOM
  export FIELDWATCH__KAFKA__TOPIC_PREFIX=$name-
  export MQTT_BRIDGE__MQTT__VERSION=$1 MQTT_BRIDGE__MQTT__CLIENT_ID=$name MQTT_BRIDGE__MQTT__STATUS_TOPIC=$name/bridge
  export MQTT_BRIDGE__ADMIN__LISTEN=127.0.0.1:0
  export MQTT_BRIDGE__ROUTES="[
    { name = \"telemetry\", filter = \"$name/+/telemetry\", payload = \"metrics\", device = \"topic:2\" },
    { name = \"status\", filter = \"$name/+/status\", payload = \"status\", device = \"topic:2\" }]"
  "$BIN/fieldctl" topics apply >/dev/null
  "$BIN/mqtt-bridge" 2>/dev/null &
  bridge=$!
  forget() {
    kill "$bridge" 2>/dev/null && wait "$bridge" || true
    "$BIN/fieldctl" topics delete --yes >/dev/null
  }
  trap forget EXIT

  "$VENV/bin/python" "$HERE/paho_publisher.py" "$MQTT_BRIDGE__MQTT__URL" "$name"
  expect telemetry.readings.v1 8 '"sequence": ?0' '"sequence": ?1' '"sequence": ?2' '"sequence": ?3' '"v311"' '"v5"'
  expect telemetry.device-status.v1 4 'ONLINE' 'OFFLINE' '"will"' '"birth"'
  echo "paho: readings at QoS 0, 1 and 2, a retained one, birth and will arrived from MQTT 3.1.1 and 5 through a bridge that speaks $1"
)

prepare_python paho
through 5
through 3.1.1
