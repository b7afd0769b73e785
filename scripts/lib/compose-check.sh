#!/usr/bin/env bash
# docker-compose.yml from nothing: images (stand-ins where none can be pulled), up, a reading that leads to a notification, down and
# up again, and nothing lost. With an engine of its own where none answers.
set -euo pipefail
export FIELDWATCH_INSTANCE=compose
unset FIELDWATCH_DATA FIELDWATCH_PORT_OFFSET FIELDWATCH_SECURED
for part in suite needs checks demo-checks images stand-ins engine; do
  # shellcheck source=/dev/null
  source "$(dirname "${BASH_SOURCE[0]}")/$part.sh"
done

versions() { api GET '/notifications?limit=200' | head -n 1 | python3 -c 'import json, sys; print(sorted((n["notification_id"], n["version"]) for n in json.load(sys.stdin)["data"]))'; }
all_run() { [[ $(in_compose ps --services --filter status=running | wc -l) -ge 9 ]] || { in_compose ps && return 1; }; }

check_compose() {
  local before
  require_packages mosquitto-clients
  claim_port_offset 14000
  fetch jvm
  start_engine || exit 1
  trap 'exit 130' INT TERM
  trap 'in_compose down --volumes --timeout 20 >/dev/null 2>&1; stop_engine; rm -rf "$DATA"' EXIT
  stand_ins || exit 1
  title "Images"
  build_images || exit 1
  in_compose down --volumes --timeout 20 >/dev/null 2>&1 || true

  title "Compose"
  check "from nothing, everything is up and healthy" in_compose up --wait --no-build --quiet-pull
  check "every service runs" all_run
  in_compose exec -T notifier cat /run/api/key >"$(api_key_file)"
  publish 1 iot/sensor/temperature "$(reading compose-first 31.5)"
  check "a reading leads to a notification" eventually 60 is_listed compose-first
  before=$(versions)
  # Taken by the MQTT broker and nobody else yet.
  in_compose stop --timeout 30 mqtt-bridge >/dev/null 2>&1
  publish 1 iot/sensor/temperature "$(reading compose-second 31.5)"
  check "it goes down" in_compose down --timeout 30
  check "and comes up again" in_compose up --wait --no-build --quiet-pull
  check "the notifications from before are there" eventually 30 still_there "$before"
  check "a reading that only the MQTT broker had leads to a notification" eventually 60 is_listed compose-second
  check "memory stays within its limits" nobody_was_killed
  summary
  ((FAILED == 0))
}

still_there() { python3 -c 'import ast, sys; sys.exit(not set(ast.literal_eval(sys.argv[1])) <= set(ast.literal_eval(sys.argv[2])))' "$1" "$(versions)"; }
nobody_was_killed() { ! docker ps -aq --filter label=com.docker.compose.project=fieldwatch-$INSTANCE | xargs docker inspect -f '{{.Name}} {{.State.OOMKilled}}' | grep true; }

check_compose
