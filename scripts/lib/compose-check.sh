#!/usr/bin/env bash
# docker-compose.yml from nothing: images (stand-ins where none can be pulled), up, a reading that leads to a notification, down and
# up again, and nothing lost. With an engine of its own where none answers.
set -euo pipefail
export FIELDWATCH_INSTANCE=compose
unset FIELDWATCH_DATA FIELDWATCH_PORT_OFFSET FIELDWATCH_SECURED
for part in suite needs checks images stand-ins engine; do
  # shellcheck source=/dev/null
  source "$(dirname "${BASH_SOURCE[0]}")/$part.sh"
done

# Compose reads the ports of this instance.
in_compose() {
  local name
  (
    for name in "${!PORT[@]}"; do export "$(port_variable "$name")=${PORT[$name]}"; done
    docker compose -p fieldwatch-check -f "$ROOT/docker-compose.yml" "$@"
  )
}

api_with_its_key() { curl -fsS --noproxy '*' --max-time 10 -H "Authorization: Bearer $KEY" "$(api_url)/v1$1"; }
lists() { api_with_its_key "/notifications?device_id=$1" | grep -q "\"device_id\":\"$1\""; }
versions() { api_with_its_key '/notifications?limit=200' | python3 -c 'import json, sys; print(sorted((n["notification_id"], n["version"]) for n in json.load(sys.stdin)["data"]))'; }
all_run() { [[ $(in_compose ps --services --filter status=running | wc -l) -ge 9 ]] || { in_compose ps && return 1; }; }

check_compose() {
  local before
  require_packages mosquitto-clients
  claim_port_offset 14000
  fetch jvm
  start_engine || exit 1
  trap 'exit 130' INT TERM
  trap 'in_compose down --volumes --timeout 20 >/dev/null 2>&1; stop_engine' EXIT
  stand_ins || exit 1
  title "Images"
  build_images || exit 1
  in_compose down --volumes --timeout 20 >/dev/null 2>&1 || true

  title "Compose"
  check "from nothing, everything is up and healthy" in_compose up --wait --no-build --quiet-pull
  check "every service runs" all_run
  KEY=$(in_compose exec -T notifier cat /run/api/key)
  publish 1 iot/sensor/temperature "$(reading compose-first 31.5)"
  check "a reading leads to a notification" eventually 60 lists compose-first
  before=$(versions)
  # Taken by the MQTT broker and nobody else yet.
  in_compose stop --timeout 30 mqtt-bridge >/dev/null 2>&1
  publish 1 iot/sensor/temperature "$(reading compose-second 31.5)"
  check "it goes down" in_compose down --timeout 30
  check "and comes up again" in_compose up --wait --no-build --quiet-pull
  check "the notifications from before are there" eventually 30 still_there "$before"
  check "a reading that only the MQTT broker had leads to a notification" eventually 60 lists compose-second
  check "memory stays within its limits" nobody_was_killed
  summary
  ((FAILED == 0))
}

still_there() { python3 -c 'import ast, sys; sys.exit(not set(ast.literal_eval(sys.argv[1])) <= set(ast.literal_eval(sys.argv[2])))' "$1" "$(versions)"; }
nobody_was_killed() { ! docker ps -aq --filter label=com.docker.compose.project=fieldwatch-check | xargs docker inspect -f '{{.Name}} {{.State.OOMKilled}}' | grep true; }

check_compose
