#!/usr/bin/env bash
# The backup and the restore that k8s/README.md describes, with its commands: taken under load, both databases deleted, restored; the
# same notifications are there, by hash, and an alert that was open still resolves. An instance of its own.
set -euo pipefail
export FIELDWATCH_INSTANCE=backup
unset FIELDWATCH_DATA FIELDWATCH_PORT_OFFSET
for part in suite needs checks demo-checks dev-flow; do
  # shellcheck source=/dev/null
  source "$(dirname "${BASH_SOURCE[0]}")/$part.sh"
done

DATABASES=(fieldwatch registry)

# with_login COMMAND...: the database's own client programs, told where it is by their own variables.
with_login() {
  PGHOST=127.0.0.1 PGPORT=${PORT[postgres]} PGUSER=fieldwatch PGPASSWORD=$(<"$(secret_file postgres-password)") "$@"
}

back_up() {
  local name
  for name in "${DATABASES[@]}"; do with_login pg_dump -Fc -d "$name" -f "$DATA/$name.dump" || return 1; done
  du -ch "$DATA"/*.dump | tail -n 1
}

wipe() {
  local name
  for name in "${DATABASES[@]}"; do
    with_login dropdb --force "$name" && with_login createdb "$name" || return 1
  done
}

restore() {
  local name
  for name in "${DATABASES[@]}"; do with_login pg_restore --clean --if-exists --exit-on-error -d "$name" "$DATA/$name.dump" || return 1; done
}

# Every version of every notification, a line each: what it was and which event made it so. `at` is when the notifier took that
# event: made again from Kafka it is another time.
WHAT='notification_id, version, state, severity, occurrences, action, actor, reason, source_event_id'
versions() { database -At -c "SELECT $1 FROM notification_event" | LC_ALL=C sort; }

has_versions() { (($(versions "$WHAT" | wc -l) >= $1)); }

# keep_versions NAME COLUMNS: the rows as they are, and how many.
keep_versions() { versions "$2" >"$DATA/$1.rows" && echo "$(wc -l <"$DATA/$1.rows") versions"; }

# are_back NAME COLUMNS: each of those rows is there, unchanged.
are_back() {
  local kept=$DATA/$1.rows before after
  before=$(sha256sum <"$kept")
  after=$(versions "$2" | LC_ALL=C comm -12 "$kept" - | sha256sum)
  echo "$(wc -l <"$kept") versions, sha256 ${before:0:12} before, ${after:0:12} after"
  [[ $before == "$after" ]]
}

state_of() { api GET "/notifications?device_id=$1" | head -n 1 | python3 -c 'import json, sys; data = json.load(sys.stdin)["data"]; print(len(data), data[0]["state"])'; }

# One notification, in that state.
is_in_state() {
  local state
  state=$(state_of "$1" 2>/dev/null) || return 1
  echo "$state"
  [[ $state == "1 $2" ]]
}

hot() { publish 1 iot/sensor/temperature "$(reading "$1" 31.5)"; }
cool() { publish 1 iot/sensor/temperature "$(reading "$1" 20.0)"; }

check_backup() {
  local device ports
  mapfile -t ports < <(all_ports)
  begin_check 9000 "${ports[@]}"
  build "${SERVICES[@]}"
  suite_up "${SERVICES[@]}"
  start_background simulate "$BIN/fieldctl" simulate --mqtt "$(mqtt_url)" --devices 50 --rate 200 --excursions
  for device in open acknowledged resolved; do hot "backup-$device"; done
  for device in open acknowledged resolved; do check "backup-$device has a notification" eventually 60 is_listed "backup-$device"; done
  check "one is acknowledged" acknowledge backup-acknowledged
  cool backup-resolved
  check "one is resolved" eventually 30 is_in_state backup-resolved RESOLVED

  check "there is something to lose" eventually 120 has_versions 100
  keep_versions backed-up "$WHAT, at" >/dev/null
  check "a backup is taken" back_up
  check "under load" is_running simulate
  hot backup-later
  check "and life goes on" eventually 30 is_listed backup-later
  check "everything stops" stops_in_time
  check "what there was" keep_versions wiped "$WHAT"
  registry_stop
  check "both databases are deleted" wipe
  check "and restored" restore
  check "all that was backed up is there" are_back backed-up "$WHAT, at"
  check "what came later is not" eventually 1 test "$(database -At -c "SELECT count(*) FROM notification WHERE device_id = 'backup-later'")" = 0
  registry_start
  start_services "${SERVICES[@]}" || die "not every service is ready"
  check "all that was there when it was deleted is there again, from Kafka" eventually 60 are_back wiped "$WHAT"
  check "nothing is there twice: one notification of what came later" is_in_state backup-later OPEN
  check "who acknowledged is still known" is_in_state backup-acknowledged ACKNOWLEDGED
  for device in open acknowledged later; do cool "backup-$device"; done
  for device in open acknowledged later; do check "backup-$device cools down and is resolved" eventually 30 is_in_state "backup-$device" RESOLVED; done
  for device in "${SERVICES[@]}"; do check "$device still runs" is_running "$device"; done
  end_check
}

check_backup
