# Kafka: one KRaft node. Ready when it answers a Metadata request and has itself as a live broker.

kafka_start() {
  local folder=$DATA/kafka java users
  java=$(find_java 17) || die "Kafka needs Java 17 or newer"
  render server.properties "$folder/server.properties" \
    KAFKA_PORT="${PORT[kafka]}" CONTROLLER_PORT="${PORT[controller]}" DATA="$folder/log"
  # Of two lines for a setting the last one counts.
  if is_secured; then secured_kafka >>"$folder/server.properties"; fi
  [[ -z ${FIELDWATCH_KAFKA_SETTINGS:-} ]] || cat "$FIELDWATCH_KAFKA_SETTINGS" >>"$folder/server.properties"
  if [[ ! -f $folder/formatted ]]; then
    [[ -s $folder/cluster-id ]] || head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n' >"$folder/cluster-id"
    mapfile -t users < <(scram_users)
    # -t= because an id may start with a dash
    "$java" -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$SCRIPTS/infra.d/log4j2.properties" -cp "$KAFKA_HOME/*" \
      kafka.tools.StorageTool format --standalone --ignore-formatted -t="$(<"$folder/cluster-id")" \
      "${users[@]}" -c "$folder/server.properties" >"$folder/format.log" 2>&1 || die "Kafka's storage could not be formatted: $(tail -n 5 "$folder/format.log")"
    touch "$folder/formatted"
  fi
  # One collecting thread and a heap that is there from the start: on cores that are shared with everything else a second
  # one is mostly waited for, and a first touch of memory costs more than it frees.
  start_process kafka "$java" -Xms400m -Xmx400m -XX:+AlwaysPreTouch -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:ParallelGCThreads=1 -XX:ConcGCThreads=1 \
    -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true \
    -Dlog4j2.configurationFile="$SCRIPTS/infra.d/log4j2.properties" -cp "$KAFKA_HOME/*" kafka.Kafka "$folder/server.properties"
  wait_until_ready kafka 60 kafka_answers
}

# Metadata v4 with no topics, in bytes: the answer's broker count must not be zero (an unregistered node lists none).
kafka_answers() {
  local brokers
  if is_secured; then
    timeout 2 openssl s_client -connect "127.0.0.1:${PORT[kafka]}" -CAfile "$CERTS/ca.crt" -verify_return_error </dev/null >/dev/null 2>&1
    return
  fi
  # shellcheck disable=SC2016 # $1 is expanded by the inner bash
  brokers=$(timeout 2 bash -c '
    exec 3<>"/dev/tcp/127.0.0.1/$1"
    printf "\0\0\0\x11\0\x03\0\x04\0\0\0\x01\0\x02up\0\0\0\0\0" >&3
    head -c 16 <&3 | od -An -tu1 -j12 -N4' _ "${PORT[kafka]}" 2>/dev/null) || return 1
  [[ $brokers =~ [1-9] ]]
}

kafka_stop() { stop_process kafka 30; }
