#!/usr/bin/env bash
# Has Schemathesis ask a running notifier whatever its own /openapi.json allows, and much that it does not, and compares
# every answer with that description. FIELDWATCH_TEST_SEED=N is another seed; arguments are Schemathesis's.
# Needs the infrastructure's addresses (scripts/infra env) and built notifier and fieldctl; BIN names their folder.
set -euo pipefail
# shellcheck source=services/notifier/tests/live.sh
source "$(dirname "${BASH_SOURCE[0]}")/live.sh"

SEED=${FIELDWATCH_TEST_SEED:-20260131}

# ask METHOD PATH BODY: prints the answer.
ask() {
  curl -fsS --noproxy '*' --max-time 10 -X "$1" -H "Authorization: Bearer $FIELDWATCH_KEY" -H 'Content-Type: application/json' \
    --data "$3" "$API/v1/$2"
}

# What the examples of the description speak of, and notifications, open, acknowledged and resolved; prints the answers.
prepare_entries() {
  local name number
  ask PUT webhooks/ops-chat '{"url": "http://127.0.0.1:9/"}'
  ask PUT emails/on-call '{"to": ["on-call@example.com"]}'
  ask PUT scenes/ventilate '{"members": [{"device_id": "fan-01", "name": "set", "arguments": {"speed": 3}}]}'
  for name in ops on-call manager pager; do ask PUT "receivers/$name" '{"webhooks": ["ops-chat"]}'; done
  ask PUT escalations/to-the-manager '{"steps": [{"after": "15m", "receiver": "manager"}]}'
  ask PUT mute-times/nights '{"intervals": [{"times": [{"start_time": "22:00", "end_time": "24:00"}]}]}'
  ask PUT silences/works '{"matchers": ["group_id=\"hall-9\""], "starts_at": "2026-01-31T08:00:00Z", "ends_at": "2126-01-31T08:00:00Z"}'
  ask POST webhooks/ops-chat/test '{}'
  ask POST emails/on-call/test '{}'
  for number in {1..4}; do ask POST commands '{"device_id": "fan-01", "name": "set", "arguments": {"speed": 3}}'; done
  for number in {1..2}; do ask POST scenes/ventilate '{}'; done
  for number in {1..24}; do ask POST events "{\"action\": \"trigger\", \"dedup_key\": \"door/$number\", \"title\": \"The door is open\"}"; done
  for number in {1..4}; do ask POST events "{\"action\": \"acknowledge\", \"dedup_key\": \"door/$number\"}"; done
  for number in {5..8}; do ask POST events "{\"action\": \"resolve\", \"dedup_key\": \"door/$number\"}"; done
}

# The ids of notifications, deliveries, commands and runs in the answers, as a dictionary; in their order, which is the same every time.
ids() { grep -Eo '"(notification|delivery|command|scene)_id":"[^"]+"' | grep -Eo '"[^"]+"$' | awk '!seen[$0]++'; }

prepare_python notifier
start_notifier
export FIELDWATCH_KEY
FIELDWATCH_KEY=$(<"$BOOTSTRAP_KEY_FILE")
prepare_entries | ids >"$FOLDER/ids"
# From a folder that goes: it looks for its configuration and the dictionary there, and nothing that it writes stays.
cp "$HERE/schemathesis.toml" "$FOLDER"
cd "$FOLDER"
export PYTHONPATH=$HERE PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 SCHEMATHESIS_HOOKS=schemathesis_hooks

# run_phases SEED PHASES ARGUMENT...
run_phases() {
  local seed=$1 phases=$2
  shift 2
  echo "schemathesis: seed $seed, $phases"
  "$VENV/bin/schemathesis" --no-color run "$API/openapi.json" --seed "$seed" --phases "$phases" "$@"
}

run_phases "$SEED" examples,coverage,fuzzing "$@"
# A walk along the links ends where the notifier, which has changed meanwhile, does not answer as before; so there are some.
for walk in {1..5}; do run_phases "$((SEED + walk))" stateful "$@"; done
