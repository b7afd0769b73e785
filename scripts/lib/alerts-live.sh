# Every alert of rules.yaml, by the fault it is for, and cleared again. With the windows of the rules shortened
# (start_prometheus), because nobody waits an hour in a test.

# What the services are told before they start, so that faults can be made.
faults_are_possible() {
  RULES=$DATA/temperature-rules.yaml
  rules_above 28
  export TEMPERATURE_ALERT__RULES__FILE=$RULES
  export MQTT_BRIDGE__SPOOL__FOLDER=$DATA/spool MQTT_BRIDGE__SPOOL__SIZE='256 KiB'
  export MQTT_BRIDGE__MQTT__MAX_PACKET_SIZE='64 KiB' MQTT_BRIDGE__LIMITS__PAYLOAD='32 KiB'
  export NOTIFIER__DELIVERY__FIRST_RETRY=200ms NOTIFIER__DELIVERY__ALLOWED_NETWORKS='["127.0.0.0/8"]'
  export DEVICE_COMMANDS__COMMANDS__TIMEOUT=1s DEVICE_COMMANDS__RETRY__FIRST=300ms DEVICE_COMMANDS__BREAKER__OPEN=10s
  export OUTBOX_RELAY__RETRY__ATTEMPTS=2 ANOMALY_DETECTOR__GROUP__STUCK_AFTER=2h
}

rules_above() { printf 'rules:\n  - { id: high-temperature, metric: temperature, above: %s, clear: %s, severity: WARNING }\n' "$1" "$(($1 - 1))" >"$RULES"; }

# raises WHAT ALERT: within a minute; clears WHAT ALERT: within one and a half.
raises() { check "$1 raises $2" eventually 60 is_raised "$2"; }
clears() { check "$2 clears: $1" eventually 90 is_quiet "$2"; }

check_alerts() {
  check "nobody is called while all is well" is_quiet ServiceDown
  check "the dead man speaks" eventually 30 is_raised DeadMan

  publish 1 iot/sensor/temperature "not a reading"
  raises "a payload that cannot be read" DeadLetters

  stop_process outbox-relay 25
  raises "a stopped service" ServiceDown
  start_services outbox-relay
  clears "it is back" ServiceDown

  mosquitto_stop
  raises "a stopped MQTT broker" BrokerLost
  mosquitto_start
  clears "it is back" BrokerLost

  scrape_as_if_gone anomaly-detector
  raises "a service that nothing is left of" ServiceMissing
  scrape_again
  clears "it is there again" ServiceMissing

  echo 'rules: [{ id: high-temperature, metric: temperature, above: warm }]' >"$RULES"
  raises "a file of rules with a mistake" RulesRefused
  rules_above 28
  clears "it is mended" RulesRefused

  stop_process simulate 5
  raises "devices that say nothing" BridgeSilent
  start_simulator
  clears "they speak again" BridgeSilent

  clears "nothing new is in the queue" DeadLetters
  kafka_is_away
  a_row_that_kafka_refuses
  a_receiver_that_fails
  a_device_that_does_nothing
  too_much_at_once
  a_restart_with_many_devices
  a_restart_with_other_rules
  a_sensor_that_stands_still
}

scrape_as_if_gone() {
  cp "$DATA/prometheus.yaml" "$DATA/prometheus.before"
  sed -i "s/job: $1 }/job: elsewhere }/" "$DATA/prometheus.yaml"
  kill -HUP "$(process_pid prometheus)"
}

scrape_again() {
  mv "$DATA/prometheus.before" "$DATA/prometheus.yaml"
  kill -HUP "$(process_pid prometheus)"
}

# tell TITLE: a notification from outside, which has to be published.
tell() { api POST /events "{\"action\": \"trigger\", \"dedup_key\": \"$1\", \"title\": \"$1\", \"severity\": \"CRITICAL\"}" | tail -n 1 | grep -q '^2'; }

kafka_is_away() {
  kafka_stop
  check "a notification is taken while Kafka is away" eventually 20 tell "while Kafka is away"
  raises "Kafka being away" Spooling
  raises "Kafka being away" Failing
  raises "a notification that cannot be published" OutboxOld
  fieldctl simulate --mqtt "$(mqtt_url)" --prefix many --devices 20 --count 20000 >/dev/null 2>&1 &
  raises "more than the spool can hold" SpoolFull
  kafka_start
  clears "Kafka is back and the spool has room" SpoolFull
  clears "the spool is empty" Spooling
  clears "it is published" OutboxOld
  clears "nothing has to be tried again" Failing
}

a_row_that_kafka_refuses() {
  database -q -c "INSERT INTO outbox (event_id, aggregate_type, aggregate_id, type, topic, payload)
    VALUES (gen_random_uuid(), 'test', 'one', 'Test', 'no-such-topic.v1', '\x00')"
  raises "a row for a topic that is not there" OutboxDead
  clears "nothing more is put aside" OutboxDead
}

# The receiver's port answers nothing; then a server of Python's answers there.
a_receiver_that_fails() {
  local port=$((8765 + FIELDWATCH_PORT_OFFSET)) number
  api PUT /webhooks/ops "{\"url\": \"http://127.0.0.1:$port/\"}" >/dev/null
  api PUT /receivers/ops '{"webhooks": ["ops"]}' >/dev/null
  api PUT /routes '{"receiver": "ops", "group_by": ["dedup_key"], "group_wait": "200ms"}' >/dev/null
  for number in 1 2 3; do tell "receiver $number"; done
  raises "a receiver that cannot be reached" BreakerOpen
  start_process receiver python3 -c '
import http.server, sys
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()' "$port"
  clears "it answers" BreakerOpen
}

# It reports its state, and does nothing of what it is told; then another lamp hangs there.
a_device_that_does_nothing() {
  lamp_that --misbehave never=1
  check "a device that does nothing is known" eventually 30 switch_ends_as 2
  for _ in 1 2; do switch_ends_as 2; done
  raises "a device that does nothing of what it is told" DeviceBreakerOpen
  stop_process lamp 10
  lamp_that
  check "another does it, when it is tried" eventually 30 switch_ends_as 0
  clears "it does what it is told" DeviceBreakerOpen
  stop_process lamp 10
}

lamp_that() { start_background lamp "$BIN/fieldctl" simulate --mqtt "$(mqtt_url)" --prefix lamp --devices 1 --rate 1 --actuators "$@"; }

# switch_ends_as STATUS: 0 verified, 2 timed out.
switch_ends_as() {
  local status=0 off='{"power": "off"}'
  fieldctl command send lamp-001 set --arguments "$off" --desired-state "$off" --api "$(api_url)" --key-file "$(api_key_file)" --wait || status=$?
  ((status == $1))
}

too_much_at_once() {
  fieldctl simulate --into alerts.temperature.v1 --devices 2000 --count 60000 --excursions >/dev/null 2>&1
  raises "more alerts than the notifier can store at a time" Behind
  clears "it has caught up" Behind
}

a_restart_with_many_devices() {
  fieldctl simulate --into telemetry.readings.v1 --prefix crowd --devices 80000 --count 80000 >/dev/null 2>&1
  check "the alert service has taken 80,000 devices" eventually 60 has_data 'fieldwatch_state_keys{job="temperature-alert"} > 80000'
  stop_process temperature-alert 25
  start_background temperature-alert "$BIN/temperature-alert" run
  raises "the state of 80,000 devices being read back" Restoring
  clears "it is there" Restoring
}

# What it did not say under one rule, it says under another.
a_restart_with_other_rules() {
  local number
  rules_above 900
  sleep 2 # an edited file is in force within a second
  for number in 1 2 3 4 5 6 7 8; do publish 1 iot/sensor/temperature "$(reading "other-rules-$number" 31.5)"; done
  sleep 2
  kill -KILL "$(process_pid temperature-alert)"
  rules_above 28
  start_services temperature-alert
  raises "a restart with other rules than before" ReplayDiverged
  clears "the replay is over" ReplayDiverged
}

# Three days of a hall with five sensors, one of which stops moving on the third: a sensor's ways are learned for two. They are of
# one partition: sent this fast, only that keeps their days together.
a_sensor_that_stands_still() {
  local at
  mapfile -t at < <(mqtt_device)
  awk -v now="$(date +%s)" 'BEGIN {
    split("5 11 26 35 60", name)
    for (i = 0; i < 864; i++)
      for (s = 1; s <= 5; s++) {
        if (s < 5 || i < 700) value[s] = 21 + 3 * sin(i / 288 * 6.2832) + 0.1 * (i * 7919 * s % 13)
        printf "{\"device_id\": \"hall-%d\", \"group\": \"hall\", \"temperature\": %.3f, \"timestamp\": %d}\n", name[s], value[s], now - (864 - i) * 300
      }
  }' | mosquitto_pub "${at[@]}" -q 1 -t iot/sensor/temperature -l
  raises "a sensor that stands still" SensorDrift
  clears "no more is said of it" SensorDrift
}
