# What a secured instance lets nobody do, after the demo's own checks: without a name, with a wrong password, or as someone else.

check_refusals() {
  local name
  check "a spike leads to an anomaly" feed anomaly-detector
  check "and that to a notification" eventually 60 has_anomaly
  check "a dead letter can be redriven" fieldctl dlq redrive --service mqtt-bridge
  # librdkafka keeps trying; what is read may not be seen either, so it does not exist for whoever may not read it.
  check "Kafka: a wrong password is refused" is_denied 'transport failure' with_a_wrong_password
  check "Kafka: nobody is heard without TLS" is_denied 'transport failure' in_the_clear
  check "temperature-alert may not read notifications" is_denied 'does not exist' as temperature-alert tail notifications.v1 --from-beginning --max 1 --timeout 10s
  check "notifier may not write readings" is_denied authorization as notifier simulate --into telemetry.readings.v1 --devices 1 --count 1
  check "who only looks at lag may not read readings" is_denied authorization as lag-observer tail telemetry.readings.v1 --from-beginning --max 1 --timeout 10s
  check "a service with another's name and its own password is refused" is_denied 'transport failure' with_another_name
  check "registry: a wrong password is refused" answers 401 -u fieldwatch:guessed "$(registry_url)/subjects"
  check "registry: no password is refused" answers 401 "$(registry_url)/subjects"
  check "PostgreSQL: a wrong password is refused" is_denied 'password authentication failed' wrong_database_password
  check "PostgreSQL: nobody is heard without TLS" is_denied 'no encryption' database_in_the_clear
  check "Mosquitto: a wrong password is refused" is_denied 'not authori' device_says -u device -P guessed --cafile "$CERTS/ca.crt"
  check "Mosquitto: nobody is heard without a name" is_denied 'not authori' device_says --cafile "$CERTS/ca.crt"
  check "the API is not there without TLS" is_denied 'curl' curl -sS --noproxy '*' --max-time 5 "http://127.0.0.1:${PORT[notifier-api]}/v1/me"
  check "who does not know the authority does not trust the API" is_denied 'certificate' curl -sS --noproxy '*' --max-time 5 --cacert "$SYSTEM_AUTHORITIES" "$(api_url)/v1/me"
  for name in "${SERVICES[@]}"; do check "$name runs after all that" is_running "$name"; done
}

# is_denied REASON COMMAND...: fails, and says why.
is_denied() {
  local reason=$1 said
  shift
  if said=$("$@" 2>&1); then echo "was let through: $said" && return 1; fi
  grep -qi "$reason" <<<"$said" || { echo "$said" && return 1; }
  grep -i "$reason" <<<"$said" | head -n 1
}

# answers STATUS CURL_ARGUMENT...
answers() {
  local wanted=$1 status
  shift
  status=$(curl -sS --noproxy '*' --max-time 10 -o /dev/null -w '%{http_code}' "$@")
  [[ $status == "$wanted" ]] || { echo "status $status" && return 1; }
}

# as USER FIELDCTL_ARGUMENT...
as() {
  local name=$1
  shift
  with FIELDCTL__KAFKA__USERNAME="$name" FIELDCTL__KAFKA__PASSWORD_FILE="$(password_file "$name")" "$@"
}

with_a_wrong_password() { with FIELDCTL__KAFKA__PASSWORD=guessed FIELDCTL__KAFKA__PASSWORD_FILE= topics diff; }
with_another_name() { with FIELDCTL__KAFKA__USERNAME=notifier topics diff; }
in_the_clear() { with FIELDCTL__KAFKA__SECURITY_PROTOCOL=plaintext topics diff; }

# with NAME=VALUE... FIELDCTL_ARGUMENT...: fieldctl with other settings than this instance's.
with() {
  local settings=()
  while [[ $1 == *=* ]]; do settings+=("$1") && shift; done
  (
    export_environment
    exec env "${settings[@]}" "$BIN/fieldctl" "$@"
  )
}

wrong_database_password() { PGPASSWORD=guessed psql_as fieldwatch fieldwatch -c 'SELECT 1'; }
database_in_the_clear() { PGSSLMODE=disable database -c 'SELECT 1'; }
device_says() { mosquitto_pub -h 127.0.0.1 -p "${PORT[mosquitto]}" -q 1 -t iot/sensor/temperature -m '{}' "$@"; }
has_anomaly() { api GET '/notifications?kind=anomaly' | head -n 1 | grep -q notification_id; }
