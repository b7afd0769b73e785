#!/usr/bin/env bash
# The users of k8s/components/kafka-strimzi on a real broker that asks for a password and denies what is not allowed: with exactly
# those rights the suite does all it has to, and with another's name it is refused. An instance of its own.
set -euo pipefail
export FIELDWATCH_INSTANCE=rights
unset FIELDWATCH_DATA FIELDWATCH_PORT_OFFSET
for part in suite needs checks demo-checks dev-flow images custom-resources; do
  # shellcheck source=/dev/null
  source "$(dirname "${BASH_SOURCE[0]}")/$part.sh"
done

USERS=$ROOT/k8s/components/kafka-strimzi/users.yaml

# A second listener, with SASL SCRAM; on the first everything is allowed, as for an administrator.
broker_that_asks() {
  SASL_PORT=$((PORT[kafka] + 2))
  FIELDWATCH_KAFKA_SETTINGS=$(mktemp)
  export FIELDWATCH_KAFKA_SETTINGS
  cat >"$FIELDWATCH_KAFKA_SETTINGS" <<PROPERTIES
listeners=PLAINTEXT://127.0.0.1:${PORT[kafka]},ASKING://127.0.0.1:$SASL_PORT,CONTROLLER://127.0.0.1:${PORT[controller]}
advertised.listeners=PLAINTEXT://127.0.0.1:${PORT[kafka]},ASKING://127.0.0.1:$SASL_PORT,CONTROLLER://127.0.0.1:${PORT[controller]}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,ASKING:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
listener.name.asking.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.asking.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
sasl.enabled.mechanisms=SCRAM-SHA-512
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=false
PROPERTIES
}

kafka_tool() {
  "$(find_java 17)" -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$SCRIPTS/infra.d/log4j2.properties" -cp "$KAFKA_HOME/*" "$@" \
    --bootstrap-server "127.0.0.1:${PORT[kafka]}" </dev/null
}

users() { "$(yq_program)" -N 'select(.kind == "KafkaUser").metadata.name' "$USERS"; }
password_of() { echo "the-password-of-$1"; }

# What Strimzi's user operator does with users.yaml.
make_users() {
  local name rights operation pattern kind on options
  for name in $(users); do
    kafka_tool kafka.admin.ConfigCommand --alter --entity-type users --entity-name "$name" \
      --add-config "SCRAM-SHA-512=[password=$(password_of "$name")]" >/dev/null || return 1
    # Operation, pattern, kind, name; one command for each operation and pattern.
    rights=$("$(yq_program)" -N "select(.metadata.name == \"$name\").spec.authorization.acls[] | .resource as \$on | .operations[] | [., \$on.patternType, \$on.type, \$on.name] | join(\" \")" "$USERS" | sed '/^$/d')
    while read -r operation pattern; do
      options=()
      while read -r kind on; do options+=("--${kind/transactionalId/transactional-id}" "$on"); done < <(awk -v o="$operation" -v p="$pattern" '$1 == o && $2 == p {print $3, $4}' <<<"$rights")
      kafka_tool org.apache.kafka.tools.AclCommand --add --force --allow-principal "User:$name" --operation "$operation" \
        --resource-pattern-type "${pattern/prefix/prefixed}" "${options[@]}" >/dev/null || return 1
    done < <(awk '{print $1, $2}' <<<"$rights" | sort -u)
  done
}

# Each service comes as itself.
use_own_names() {
  local name upper
  export FIELDWATCH__KAFKA__SECURITY_PROTOCOL=sasl_plaintext FIELDWATCH__KAFKA__SASL_MECHANISM=SCRAM-SHA-512
  for name in "${SERVICES[@]}" fieldctl; do
    upper=${name^^}
    upper=${upper//-/_}
    export "${upper}__KAFKA__BROKERS=127.0.0.1:$SASL_PORT" "${upper}__KAFKA__USERNAME=$name" "${upper}__KAFKA__PASSWORD=$(password_of "$name")"
  done
}

# is_denied REASON COMMAND...: fails, and says why.
is_denied() {
  local reason=$1 said
  shift
  if said=$("$@" 2>&1); then echo "was let through: $said" && return 1; fi
  grep -qi "$reason" <<<"$said" || { echo "$said" && return 1; }
  grep -i "$reason" <<<"$said" | head -n 1
}

as() {
  local name=$1
  shift
  FIELDCTL__KAFKA__USERNAME=$name FIELDCTL__KAFKA__PASSWORD=$(password_of "$name") fieldctl "$@"
}

with_a_wrong_password() { FIELDCTL__KAFKA__PASSWORD=guessed fieldctl topics diff; }

has_anomaly() { api GET '/notifications?kind=anomaly' | head -n 1 | grep -q notification_id; }

check_rights() {
  local name ports
  yq_program >/dev/null || exit 1
  mapfile -t ports < <(all_ports)
  begin_check 6000 "${ports[@]}"
  build "${SERVICES[@]}"
  broker_that_asks
  infra_up
  make_users || die "the users could not be made"
  use_own_names
  apply_topics_and_schemas
  start_services "${SERVICES[@]}" || die "not every service is ready"
  open_stream
  for name in "${SERVICES[@]}"; do check "$name is ready" service_answers "$name"; done
  publish 1 iot/sensor/temperature "$(reading rights-alert 31.5)"
  check "a reading leads to a notification in the list" eventually 60 is_listed rights-alert
  check "and on the stream" eventually 30 is_streamed rights-alert
  check "a spike leads to an anomaly" feed anomaly-detector
  check "and that to a notification" eventually 60 has_anomaly
  publish 1 iot/sensor/temperature "not a reading"
  check "a payload that cannot be read lands in dlq.mqtt-bridge.v1" eventually 30 has_more_dead_letters_than 0
  check "fieldctl may redrive it" fieldctl dlq redrive --service mqtt-bridge
  check "which the bridge reads" eventually 30 has_more_dead_letters_than 1
  # librdkafka keeps trying; what is read may not be seen either, so it does not exist for whoever may not read it.
  check "who has a wrong password is refused" is_denied 'transport failure' with_a_wrong_password
  check "temperature-alert may not read notifications" is_denied 'does not exist' as temperature-alert tail notifications.v1 --from-beginning --max 1 --timeout 10s
  check "notifier may not write readings" is_denied authorization as notifier simulate --into telemetry.readings.v1 --devices 1 --count 1
  check "who only looks at lag may not read readings" is_denied authorization as lag-observer tail telemetry.readings.v1 --from-beginning --max 1 --timeout 10s
  for name in "${SERVICES[@]}"; do check "$name still runs" is_running "$name"; done
  end_check
}

check_rights
