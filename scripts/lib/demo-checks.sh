# What `demo --check` asserts, from outside: through MQTT, the admin ports, the API, the stream and fieldctl.

start_simulator() {
  is_running simulate || start_background simulate "$BIN/fieldctl" simulate --mqtt "$(mqtt_url)" --devices 50 --rate 20
}

check_demo() {
  local name qos before ports
  mapfile -t ports < <(all_ports)
  begin_check 2000 "${ports[@]}"
  build "${SERVICES[@]}"
  title "Starting (logs: $LOGS)"
  suite_up "${SERVICES[@]}"
  start_simulator
  open_stream

  title "Checking"
  for name in "${SERVICES[@]}"; do check "$name is ready" service_answers "$name"; done
  check "simulated devices publish" is_running simulate
  for qos in 0 1 2; do
    publish "$qos" iot/sensor/temperature "$(reading "check-qos-$qos" 31.5)"
    check "QoS $qos reading leads to a notification in the list" eventually 30 is_listed "check-qos-$qos"
    check "QoS $qos reading leads to a notification on the stream" eventually 30 is_streamed "check-qos-$qos"
  done
  check "a notification can be acknowledged" acknowledge check-qos-1
  before=$(dead_letters)
  publish 1 iot/sensor/temperature "not a reading"
  check "a payload that cannot be read lands in dlq.mqtt-bridge.v1" eventually 30 has_more_dead_letters_than "$before"
  check "a request without a key is refused" is_refused 401 -H 'Accept: application/json'
  check "a malformed request body is a 4xx problem" body_is_refused check-qos-2
  check "10,000 readings, 300 alerts: publish to stream" probe
  check "a scene of 50 lamps, 4 of which do not obey, ends within 6 s and says which" a_scene_is_played
  check "no secret stands in a log or a metric" no_secret_is_told
  for name in "${SERVICES[@]}"; do check "$name still runs" is_running "$name"; done
  if is_secured; then check_refusals; fi
  end_check
}

# The stream as a dashboard sees it, from before the first reading.
open_stream() {
  STREAM=$DATA/stream.txt
  curl -sS -N --noproxy '*' -H "Authorization: Bearer $(<"$(api_key_file)")" -H 'Accept: text/event-stream' \
    "$(api_url)/v1/notifications/stream" >"$STREAM" 2>&1 7>&- 8>&- 9>&- &
}

# Prints the id of the newest notification of a device; fails when there is none.
notification_of() {
  api GET "/notifications?device_id=$1" | head -n 1 |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["data"][0]["notification_id"])' 2>/dev/null
}

is_listed() { notification_of "$1" >/dev/null; }

# A frame is a paragraph; its lines may stand in any order.
is_streamed() { awk -v RS= -v device="\"device_id\": *\"$1\"" '/event: *notification/ && $0 ~ device {found = 1} END {exit !found}' "$STREAM"; }

acknowledge() {
  local id status state
  id=$(notification_of "$1") || return 1
  status=$(api POST "/notifications/$id/acknowledge" | tail -n 1)
  [[ $status == 200 ]] || { echo "status $status" && return 1; }
  state=$(api GET "/notifications/$id" | head -n 1 | python3 -c 'import json, sys; print(json.load(sys.stdin)["state"])')
  [[ $state == ACKNOWLEDGED ]] || { echo "state $state" && return 1; }
}

# One JSON object a line.
dead_letters() { fieldctl dlq list --service mqtt-bridge --json 2>/dev/null | grep -c '^{' || true; }
has_more_dead_letters_than() { (($(dead_letters) > $1)); }

# is_refused STATUS CURL_ARGUMENT...
is_refused() {
  local wanted=$1 status
  shift
  status=$(curl -sS --noproxy '*' --max-time 10 -o /dev/null -w '%{http_code}' "$@" "$(api_url)/v1/notifications")
  [[ $status == "$wanted" ]] || { echo "status $status" && return 1; }
}

body_is_refused() {
  local id status
  id=$(notification_of "$1") || return 1
  status=$(api POST "/notifications/$id/resolve" '{"reason": ' | tail -n 1)
  [[ $status == 4* ]] || { echo "status $status" && return 1; }
}

# Lamps of their own; the first is late, the second answers twice, the next three do something else, nothing, and cannot.
a_scene_is_played() {
  local played=$DATA/scene.json member members='' number status
  start_background lamps "$BIN/fieldctl" simulate --mqtt "$(mqtt_url)" --prefix lamp --devices 50 --rate 5 \
    --actuators --misbehave late=1,twice=1,wrong=1,never=1,error=1
  for number in $(seq -w 1 50); do
    member="{\"device_id\": \"lamp-0$number\", \"name\": \"set\", \"arguments\": {\"power\": \"off\"}, \"desired_state\": {\"power\": \"off\"}}"
    members+="${members:+, }$member"
  done
  status=$(api PUT /scenes/movie_mode "{\"members\": [$members]}" | tail -n 1)
  [[ $status == 20[01] ]] || { echo "status $status" && return 1; }
  eventually 30 has_states 50 || { echo "not every lamp has reported" && return 1; }
  # 1: some of it failed.
  fieldctl scene run movie_mode --api "$(api_url)" --key-file "$(api_key_file)" --wait --timeout 6s --json >"$played" || (($? == 1)) || return 1
  stop_process lamps 10
  python3 - "$played" <<'PYTHON'
import json, sys
run = [json.loads(line) for line in open(sys.argv[1])][-1]
ended = [command["state"] for command in run["commands"]]
print({state: ended.count(state) for state in sorted(set(ended))})
sys.exit(ended != ["TIMED_OUT", "VERIFIED", "TIMED_OUT", "TIMED_OUT", "FAILED"] + ["VERIFIED"] * 45)
PYTHON
}

has_states() { (($(fieldctl tail telemetry.device-state.v1 --from-beginning --timeout 2s --json 2>/dev/null | grep -c '"lamp-') >= $1)); }

# Keys and passwords of this instance, each in a file of its own.
no_secret_is_told() {
  local file name told=0
  for name in "${SERVICES[@]}"; do curl -fsS --noproxy '*' "http://127.0.0.1:${PORT[$name]}/metrics" >"$LOGS/$name.metrics" || return 1; done
  while read -r file; do
    if grep -rlF -f "$file" "$LOGS"; then
      echo "holds $(basename "$file")"
      told=1
    fi
  done < <(find "$DATA" -maxdepth 1 -type f \( -name '*password*' -o -name 'api-key' -o -name '*secrets-key' \) -size +0)
  ((told == 0))
}

probe() {
  fieldctl probe --mqtt "$(mqtt_url)" --api "$(api_url)" --key-file "$(api_key_file)" --readings 10000 --alerts 300
}
