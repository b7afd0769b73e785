# Kafka: one KRaft node, or three of which each record has a replica on each and is acknowledged by two (FIELDWATCH_KAFKA_BROKERS).
# A node is ready when it answers a Metadata request and knows of a live broker.

# The names of the nodes, one a line; the first has no number.
kafka_nodes() {
  local number
  echo kafka
  for ((number = 2; number <= KAFKA_BROKERS; number++)); do echo "kafka-$number"; done
}

node_number() { [[ $1 == kafka ]] && echo 1 || echo "${1#kafka-}"; }

kafka_ports() {
  printf '%s\n' "$1" "${1/kafka/controller}"
  ((KAFKA_BROKERS == 1)) || echo "$1-proxied"
}

# What clients start from.
kafka_addresses() {
  local node addresses=''
  for node in $(kafka_nodes); do addresses+=",127.0.0.1:${PORT[$node]}"; done
  echo "${addresses#,}"
}

# A cluster is formatted with the number of its nodes.
require_same_brokers() {
  if [[ -f $DATA/kafka/formatted && ! -d $DATA/kafka-3 ]] && ((KAFKA_BROKERS > 1)); then
    die "instance $INSTANCE was made with one Kafka broker: purge it, or choose another FIELDWATCH_INSTANCE"
  fi
  if is_secured && ((KAFKA_BROKERS > 1)); then die "FIELDWATCH_SECURED is for one Kafka broker"; fi
}

# What the nodes share, before they start side by side.
kafka_prepare() {
  mkdir -p "$DATA/kafka"
  [[ -s $DATA/kafka/cluster-id ]] || head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n' >"$DATA/kafka/cluster-id"
}

# kafka_cluster NODE: the settings of one of three.
kafka_cluster() {
  local node=$1 peer voters='' own=127.0.0.1:${PORT[$1]} controller=127.0.0.1:${PORT[${1/kafka/controller}]}
  for peer in $(kafka_nodes); do voters+=",$(node_number "$peer")@127.0.0.1:${PORT[${peer/kafka/controller}]}"; done
  cat <<SETTINGS
node.id=$(node_number "$node")
controller.quorum.bootstrap.servers=
controller.quorum.voters=${voters#,}
listeners=PLAINTEXT://$own,PROXIED://127.0.0.1:${PORT[$node-proxied]},CONTROLLER://$controller
advertised.listeners=PLAINTEXT://$own,PROXIED://127.0.0.1:${PORT[$node-proxy]}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
SETTINGS
}

kafka_start() {
  local node=${1:-kafka} folder java users standalone=(--standalone) compiler=()
  folder=$DATA/$node
  java=$(find_java 17) || die "Kafka needs Java 17 or newer"
  kafka_prepare
  render server.properties "$folder/server.properties" \
    KAFKA_PORT="${PORT[$node]}" CONTROLLER_PORT="${PORT[${node/kafka/controller}]}" DATA="$folder/log"
  # Of two lines for a setting the last one counts.
  if is_secured; then secured_kafka >>"$folder/server.properties"; fi
  if ((KAFKA_BROKERS > 1)); then
    standalone=()
    # Three of them come and go on the cores of one: optimising what they run would cost more than it saves.
    compiler=(-XX:TieredStopAtLevel=1)
    kafka_cluster "$node" >>"$folder/server.properties"
  fi
  [[ -z ${FIELDWATCH_KAFKA_SETTINGS:-} ]] || cat "$FIELDWATCH_KAFKA_SETTINGS" >>"$folder/server.properties"
  if [[ ! -f $folder/formatted ]]; then
    mapfile -t users < <(scram_users)
    # -t= because an id may start with a dash
    kafka_tool kafka.tools.StorageTool format "${standalone[@]}" --ignore-formatted -t="$(<"$DATA/kafka/cluster-id")" \
      "${users[@]}" -c "$folder/server.properties" >"$folder/format.log" 2>&1 || die "Kafka's storage could not be formatted: $(tail -n 5 "$folder/format.log")"
    touch "$folder/formatted"
  fi
  # One collecting thread and a heap that is there from the start: on cores that are shared with everything else a second
  # one is mostly waited for, and a first touch of memory costs more than it frees.
  start_process "$node" "$java" "${compiler[@]}" -Xms400m -Xmx400m -XX:+AlwaysPreTouch -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:ParallelGCThreads=1 -XX:ConcGCThreads=1 \
    -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true \
    -Dlog4j2.configurationFile="$SCRIPTS/infra.d/log4j2.properties" -cp "$KAFKA_HOME/*" kafka.Kafka "$folder/server.properties"
  wait_until_ready "$node" 60 kafka_answers "$node"
}

# kafka_tool CLASS ARGUMENT...
kafka_tool() {
  "$(find_java 17)" -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$SCRIPTS/infra.d/log4j2.properties" -cp "$KAFKA_HOME/*" "$@" </dev/null
}

# Metadata v4 with no topics, in bytes: the answer's broker count must not be zero (an unregistered node lists none).
kafka_answers() {
  local brokers port=${PORT[${1:-kafka}]}
  if is_secured; then
    timeout 2 openssl s_client -connect "127.0.0.1:$port" -CAfile "$CERTS/ca.crt" -verify_return_error </dev/null >/dev/null 2>&1
    return
  fi
  # shellcheck disable=SC2016 # $1 is expanded by the inner bash
  brokers=$(timeout 2 bash -c '
    exec 3<>"/dev/tcp/127.0.0.1/$1"
    printf "\0\0\0\x11\0\x03\0\x04\0\0\0\x01\0\x02up\0\0\0\0\0" >&3
    head -c 16 <&3 | od -An -tu1 -j12 -N4' _ "$port" 2>/dev/null) || return 1
  [[ $brokers =~ [1-9] ]]
}

kafka_stop() { stop_process "${1:-kafka}" 30; }
