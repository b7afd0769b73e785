# One service on its own: what to feed it, where its output appears, and the two ways to run it.

# output_topic NAME: empty where the output is no topic, as the notifier's API and outbox.
output_topic() {
  case $1 in
    mqtt-bridge) echo telemetry.readings.v1 ;;
    temperature-alert) echo alerts.temperature.v1 ;;
    anomaly-detector) echo anomalies.v1 ;;
    outbox-relay) echo notifications.v1 ;;
    device-commands) echo command-results.v1 ;;
  esac
}

# feed NAME: a burst of synthetic input, at the service's own door.
feed() {
  local burst=(--devices 20 --count 2000 --excursions)
  case $1 in
    mqtt-bridge) fieldctl simulate --mqtt "$(mqtt_url)" "${burst[@]}" >&2 ;;
    temperature-alert) fieldctl simulate --into telemetry.readings.v1 "${burst[@]}" >&2 ;;
    anomaly-detector)
      spiked_series >"$DATA/series.csv"
      fieldctl replay "$DATA/series.csv" --device sensor-01 --into telemetry.readings.v1 >&2
      ;;
    notifier) fieldctl simulate --into alerts.temperature.v1 "${burst[@]}" >&2 ;;
    outbox-relay) insert_outbox_rows 20 ;;
    device-commands) fieldctl simulate --into commands.v1 "${burst[@]}" >&2 ;;
    *) fieldctl simulate --into telemetry.readings.v1 "${burst[@]}" >&2 ;;
  esac
}

# A day and a half of a daily cycle, a reading every five minutes up to now, with a spike of a quarter of an hour.
spiked_series() {
  awk -v now="$(date +%s)" 'BEGIN {
    print "timestamp,value"
    for (i = 0; i < 432; i++)
      print now - (432 - i) * 300 "," 21 + sin(i / 288 * 6.2832) + 0.05 * (i * 7919 % 13) + (i >= 400 && i < 403 ? 25 : 0)
  }'
}

insert_outbox_rows() { python3 "$SCRIPTS/lib/outbox_rows.py" "$(registry_url)" "$1" | database -q -1; }

# database PSQL_ARGUMENT...
database() { PGPASSWORD=$(<"$(secret_file postgres-password)") psql_as fieldwatch fieldwatch "$@"; }

prepare_one() {
  local name=$1
  build "$name"
  infra_up
  apply_topics_and_schemas
  start_services "$name" || exit 1
}

# run_one NAME: until Ctrl-C; then the service stops and the infrastructure stays.
run_one() {
  local name=$1 topic tail_pid ports
  ! is_running "$name" || die "$name already runs in instance $INSTANCE: stop it first, or choose another FIELDWATCH_INSTANCE"
  mapfile -t ports < <(stopped_ports && service_ports "$name")
  require_needs "${ports[@]}" || exit 1
  trap 'exit 130' INT TERM
  trap 'trap "" INT TERM; end_jobs 2>/dev/null; stop_process "$NAME" 25; say "$NAME is stopped; the infrastructure stays (scripts/infra down)"' EXIT
  prepare_one "$name"
  topic=$(output_topic "$name")
  title "$name runs (log: scripts/logs $name -f); its output, until Ctrl-C:"
  if [[ -n $topic ]]; then
    exec_fieldctl tail "$topic" --json &
  elif [[ $name == notifier ]]; then
    stream_notifications &
  else
    tail -n 0 -F "$LOGS/$name.log" &
  fi
  tail_pid=$!
  sleep 2 # the reader starts at the end of the topic: let it find that before there is more
  feed "$name"
  wait "$tail_pid"
}

stream_notifications() {
  exec curl -sS -N --noproxy '*' -H "Authorization: Bearer $(<"$(api_key_file)")" "$(api_url)/v1/notifications/stream"
}

check_one() {
  local name=$1 ports
  mapfile -t ports < <(for server in "${SERVERS[@]}"; do server_ports "$server"; done && service_ports "$name")
  begin_check 4000 "${ports[@]}"
  prepare_one "$name"
  title "Checking $name alone"
  check "$name is ready" service_answers "$name"
  check "synthetic input goes in" feed "$name"
  case $name in
    notifier)
      check "notifications appear in the API" eventually 60 api_has_notifications
      check "each waits in the outbox" outbox_has_rows
      ;;
    *)
      if [[ -n $(output_topic "$name") ]]; then
        check "decoded output appears in $(output_topic "$name")" has_output "$(output_topic "$name")"
      else
        check "it takes what goes in" eventually 30 has_taken "$name"
      fi
      ;;
  esac
  if [[ $name == outbox-relay ]]; then check "published rows leave the outbox" eventually 30 outbox_is_empty; fi
  check "$name still runs" is_running "$name"
  end_check
}

has_taken() { curl -fsS --noproxy '*' "http://127.0.0.1:${PORT[$1]}/metrics" | grep -q '^fieldwatch_messages_in_total.* [1-9]'; }

# The first record, which must be one JSON object.
has_output() {
  local line
  line=$(fieldctl tail "$1" --from-beginning --max 1 --timeout 60s --json | head -n 1)
  python3 -c 'import json, sys; assert isinstance(json.loads(sys.argv[1]), dict)' "$line" 2>/dev/null || { echo "no record within 60 s" && return 1; }
  echo "$line"
}

api_has_notifications() { api GET /notifications | head -n 1 | python3 -c 'import json, sys; sys.exit(not json.load(sys.stdin)["data"])' 2>/dev/null; }

outbox_rows() { database -At -c 'SELECT count(*) FROM outbox'; }
outbox_has_rows() { (($(outbox_rows) > 0)); }
outbox_is_empty() { (($(outbox_rows) == 0)); }
