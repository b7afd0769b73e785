# The four servers together. What a script calls: infra_up, infra_down, infra_status, infra_env.
# Each kind of server has KIND_start (returns when ready), KIND_answers and KIND_stop in a file of its own; they are given the
# server's name, for Kafka may have several.

LIB=$(dirname "${BASH_SOURCE[0]}")
for part in log instance ports process packages downloads render secured kafka postgres registry mosquitto containers; do
  # shellcheck source=/dev/null
  source "$LIB/$part.sh"
done

mapfile -t SERVERS < <(kafka_nodes && printf '%s\n' registry postgres mosquitto)

# server VERB NAME: kafka-2 is of the kind kafka.
server() { "${2%%-*}_$1" "$2"; }

# server_ports NAME: the names of the ports it listens on, one a line.
server_ports() {
  case $1 in
    kafka*) kafka_ports "$1" ;;
    registry) printf '%s\n' registry management && if is_secured; then echo registry-backend; fi ;;
    *) echo "$1" ;;
  esac
}

server_is_up() { is_running "$1" && server answers "$1"; }

# Names of the ports that `up` would take.
stopped_ports() {
  local name
  for name in "${SERVERS[@]}"; do is_running "$name" || server_ports "$name"; done
}

infra_up() {
  local ports
  require_own_folder
  lock_instance
  require_same_ports
  require_same_security
  require_same_brokers
  mapfile -t ports < <(stopped_ports)
  require_free_ports "${ports[@]}" || exit 1
  require_packages "${SERVER_PACKAGES[@]}"
  fetch jvm native
  prepare_security
  save_ports
  start_servers
  unlock_instance
}

# The data folder is deleted as a whole by a purge, so it must never be a folder that holds anything else.
require_own_folder() {
  [[ -d $DATA && ! -f $DATA/ports ]] || return 0
  [[ -z $(find "$DATA" -mindepth 1 -maxdepth 1 ! -name lock ! -name logs ! -name pids -print -quit) ]] ||
    die "$DATA is not empty and not the data folder of an instance: choose another FIELDWATCH_DATA"
}

# A part that still runs listens where it was started; the rest must go beside it.
require_same_ports() {
  local name port running=0
  for name in "${SERVERS[@]}"; do if is_running "$name"; then running=1; fi; done
  ((running)) && [[ -f $DATA/ports ]] || return 0
  while read -r name port; do
    [[ ${PORT[$name]} == "$port" ]] || die "instance $INSTANCE runs with port $port for ${PURPOSE[$name]}, not ${PORT[$name]}: stop it first (scripts/down), or choose another FIELDWATCH_INSTANCE"
  done <"$DATA/ports"
}

# All at the same time; only the registry waits, for its database.
start_servers() {
  local began=$SECONDS jobs=() job node status=0
  kafka_prepare
  for node in $(kafka_nodes); do ( start_server "$node" ) & jobs+=($!); done
  ( start_server postgres; start_server registry ) & jobs+=($!)
  ( start_server mosquitto ) & jobs+=($!)
  for job in "${jobs[@]}"; do wait "$job" || status=1; done
  ((status == 0)) || die "the infrastructure is not complete; what did start keeps running (scripts/infra down stops it)"
  say "infrastructure of instance $INSTANCE is up ($((SECONDS - began)) s)"
}

start_server() {
  if is_running "$1"; then wait_until_ready "$1" 60 server answers "$1"; else server start "$1"; fi
}

# A purge deletes the pid files as well: a service that still runs would be lost sight of.
require_no_services() {
  local file name
  for file in "$PIDS"/*; do
    name=${file##*/}
    [[ " ${SERVERS[*]} registry-proxy " == *" $name "* ]] || ! is_running "$name" || die "$name still runs in instance $INSTANCE: scripts/down --purge stops it too"
  done
}

infra_down() {
  local purge=$1 name
  [[ -d $DATA ]] || return 0
  require_own_folder
  recall_ports
  lock_instance
  if ((purge)); then require_no_services; fi
  registry_stop
  for name in "${SERVERS[@]}"; do [[ $name == registry ]] || server stop "$name" & done
  wait
  if ((purge)); then
    rm -rf "$(outside_folder)" "$DATA"
    say "instance $INSTANCE is stopped and its data deleted"
  else
    say "instance $INSTANCE is stopped; its data stays in $DATA"
  fi
  unlock_instance
}

infra_status() {
  local name state status=0
  recall_ports
  for name in "${SERVERS[@]}"; do
    if server_is_up "$name"; then
      state="up    pid $(process_pid "$name")"
    else
      if is_running "$name"; then state='no answer'; else state='down'; fi
      status=1
    fi
    printf '%-20s %-6s %s\n' "$name" "${PORT[$name]}" "$state"
  done
  return $status
}

# Nothing but export lines, so that `eval "$(scripts/infra env)"` is safe.
infra_env() {
  local database password_file=$DATA/postgres-password prefix
  recall_ports
  [[ -s $password_file ]] || die "instance $INSTANCE was never up: run $(instance_prefix)scripts/infra up first"
  database=postgres://fieldwatch@127.0.0.1:${PORT[postgres]}/fieldwatch$(database_parameters)
  export_line FIELDWATCH__KAFKA__BROKERS "$(kafka_addresses)"
  export_line FIELDWATCH__REGISTRY__URL "$(registry_url)"
  export_line MQTT_BRIDGE__MQTT__URL "$(mqtt_url)"
  for prefix in NOTIFIER OUTBOX_RELAY; do
    export_line "${prefix}__DATABASE__URL" "$database"
    export_line "${prefix}__DATABASE__PASSWORD_FILE" "$password_file"
  done
  export_line ANOMALY_DETECTOR__MODEL__RUNTIME_LIBRARY "$ONNXRUNTIME_LIBRARY"
  export_line FIELDWATCH_TEST_POSTGRES_URL "postgres://fieldwatch:$(<"$password_file")@127.0.0.1:${PORT[postgres]}/postgres"
  if is_secured; then secured_env; fi
  if mosquitto_program >/dev/null; then export_line FIELDWATCH_TEST_MOSQUITTO "$(mosquitto_program)"; fi
}

export_line() { printf 'export %s=%q\n' "$1" "$2"; }
