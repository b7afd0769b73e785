#!/usr/bin/env bash
# The last release, this, and the last again, one service at a time under load: no reading that a device saw acknowledged is lost, no
# alert and no notification is made twice. An instance of its own.
set -euo pipefail
export FIELDWATCH_INSTANCE=upgrade
unset FIELDWATCH_DATA FIELDWATCH_PORT_OFFSET
for part in suite needs checks demo-checks dev-flow upgrade; do
  # shellcheck source=/dev/null
  source "$(dirname "${BASH_SOURCE[0]}")/$part.sh"
done

RATE=200 READINGS=24000

# roll FOLDER NAME: as a Deployment does, SIGTERM and its grace, then the other program.
roll() {
  BIN=$1
  stop_process "$2" 25
  start_services "$2"
}

# records TOPIC: all of it, as JSON.
records() { fieldctl tail "$1" --from-beginning --timeout 12s --json >"$DATA/$1.json"; }

load_ended() { ! is_running simulate; }

# Of each topic what may not be: a hole, or the same thing twice.
nothing_lost_nothing_twice() {
  records telemetry.readings.v1 && records alerts.temperature.v1 && records notifications.v1 || return 1
  python3 - "$DATA" "$READINGS" <<'PYTHON'
import collections, json, sys
folder, published = sys.argv[1], int(sys.argv[2])
def values(topic):
    return [json.loads(line)["value"] for line in open(f"{folder}/{topic}.json")]
def repeated(keys):
    return sum(count - 1 for count in collections.Counter(keys).values())
readings = [reading for reading in values("telemetry.readings.v1") if reading["sequence"] is not None]
alerts, notifications = values("alerts.temperature.v1"), values("notifications.v1")
taken = {(reading["device_id"], reading["sequence"]) for reading in readings}
announced = {alert["alert_id"] for alert in alerts}
versions = [(notification["notification_id"], notification["version"]) for notification in notifications]
highest = collections.Counter()
for notification, version in versions:
    highest[notification] = max(highest[notification], version)
of_alerts = {value["notification_id"] for value in notifications if value["kind"] == "alert"}
lost = published - len(taken)
repeats = repeated((alert["alert_id"], alert["state"], alert["severity"], alert["changed_at"]) for alert in alerts)
again = repeated(versions)
holes = sum(highest.values()) - len(set(versions))
print(f"{published} readings acknowledged, {lost} lost, {len(readings) - len(taken)} written again; {len(announced)} alerts, {repeats} announced twice; "
      f"{len(of_alerts)} notifications of alerts, {again} of {len(versions)} versions twice, {holes} missing")
sys.exit(bool(lost or repeats or again or holes or len(of_alerts) != len(announced) or not announced))
PYTHON
}

alerts_are_done() {
  fieldctl lag --json 2>/dev/null | python3 -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
sys.exit(any(row["lag"] for row in rows if row["service"] == "temperature-alert" and row["topic"] == "telemetry.readings.v1"))'
}

check_upgrade() {
  local name ports new=$BIN had=()
  mapfile -t ports < <(all_ports)
  build_last_release || die "the last release could not be built"
  begin_check 8000 "${ports[@]}"
  build "${SERVICES[@]}"
  BIN=$LAST_RELEASE_BIN
  for name in "${SERVICES[@]}"; do if last_release_has "$name"; then had+=("$name"); fi; done
  say "the last release is $LAST_RELEASE: ${had[*]}"
  suite_up "${had[@]}"
  start_background simulate "$new/fieldctl" simulate --mqtt "$(mqtt_url)" --devices 50 --rate "$RATE" --count "$READINGS" --excursions
  publish 1 iot/sensor/temperature "$(reading upgrade-before 31.5)" # without a sequence it is not counted below
  check "the last release works" eventually 60 is_listed upgrade-before
  BIN=$new
  check "its topics and schemas take the new ones" apply_topics_and_schemas
  for name in "${SERVICES[@]}"; do check "$name: forward" roll "$new" "$name"; done
  publish 1 iot/sensor/temperature "$(reading upgrade-between 31.5)"
  check "this works" eventually 60 is_listed upgrade-between
  for name in "${SERVICES[@]}"; do
    if last_release_has "$name"; then
      check "$name: back" roll "$LAST_RELEASE_BIN" "$name"
    else
      check "$name: ends" stop_process "$name" 25
    fi
  done
  check "all of it under load" is_running simulate
  publish 1 iot/sensor/temperature "$(reading upgrade-after 31.5)"
  check "the last release works again" eventually 60 is_listed upgrade-after
  check "the load ends" eventually 180 load_ended
  check "each message of it was acknowledged" grep "^$READINGS messages .* all acknowledged" "$LOGS/simulate.log"
  check "every reading was looked at" eventually 60 alerts_are_done
  check "the outbox is empty" eventually 60 outbox_is_empty
  check "nothing is lost, nothing twice" eventually 60 nothing_lost_nothing_twice
  check "no dead letter" test "$(dead_letters)" = 0
  for name in "${had[@]}"; do check "$name still runs" is_running "$name"; done
  end_check
}

check_upgrade
