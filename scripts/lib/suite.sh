# The six services as background processes, and fieldctl, each with the environment of this instance.

# shellcheck source=scripts/lib/infra.sh
source "$(dirname "${BASH_SOURCE[0]}")/infra.sh"

SERVICES=(mqtt-bridge temperature-alert anomaly-detector notifier outbox-relay device-commands)
PROFILE=${FIELDWATCH_PROFILE:-release}
BIN=${CARGO_TARGET_DIR:-$ROOT/target}/${PROFILE/#dev/debug}

is_service() { [[ " ${SERVICES[*]} " == *" $1 "* ]]; }

# build NAME...: those binaries and fieldctl, nothing else; of dependencies what the whole workspace asks of them, so that
# whichever names come next find them built.
build() {
  local name binaries=()
  for name in "$@" fieldctl; do binaries+=(--bin "$name"); done
  require_packages "${BUILD_PACKAGES[@]}"
  say "building $* fieldctl ($PROFILE)"
  (cd "$ROOT" && cargo build --profile "$PROFILE" --workspace "${binaries[@]}" >&2) || die "the build failed"
}

require_binaries() {
  local name
  for name in "$@" fieldctl; do [[ -x $BIN/$name ]] || die "$BIN/$name is not built: leave out --no-build"; done
}

# Exports what services and fieldctl read. Called in a subshell, so that nothing leaks between instances.
export_environment() {
  local name variable
  variable=$(infra_env) || exit 1
  eval "$variable"
  unset FIELDWATCH_TEST_POSTGRES_URL FIELDWATCH_TEST_MOSQUITTO
  for name in "${SERVICES[@]}"; do
    variable=${name^^}__ADMIN__LISTEN
    export "${variable//-/_}=127.0.0.1:${PORT[$name]}"
  done
  export NOTIFIER__API__LISTEN=127.0.0.1:${PORT[notifier-api]}
  BOOTSTRAP_KEY_FILE=$(api_key_file)
  export BOOTSTRAP_KEY_FILE
  NOTIFIER__SECRETS__KEY_FILE=$(secret_file notifier-secrets-key)
  export NOTIFIER__SECRETS__KEY_FILE
}

api_url() { echo "$(scheme http)://127.0.0.1:${PORT[notifier-api]}"; }
api_key_file() { secret_file api-key fw_; }

# Takes the place of the calling shell, so that a background job is the program itself.
exec_fieldctl() {
  export_environment
  cd "$ROOT" || exit 1
  exec "$BIN/fieldctl" "$@"
}

fieldctl() { (exec_fieldctl "$@"); }

apply_topics_and_schemas() {
  apply_rights || die "the rights could not be given to Kafka's users"
  fieldctl topics apply >&2 || die "the topics could not be applied"
  fieldctl schemas apply >&2 || die "the schemas could not be applied"
}

# start_background NAME COMMAND...: with this environment, from the top folder.
start_background() {
  (
    export_environment
    cd "$ROOT" || exit 1
    start_process "$@"
  )
}

start_services() {
  local name
  for name in "$@"; do is_running "$name" || start_background "$name" "$BIN/$name" run; done
  await_services "$@"
}

await_services() {
  local name jobs=() job status=0
  for name in "$@"; do
    ( wait_until_ready "$name" 60 service_answers "$name" ) &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do wait "$job" || status=1; done
  return $status
}

service_answers() { curl -fsS --noproxy '*' --max-time 2 -o /dev/null "http://127.0.0.1:${PORT[$1]}/ready" 2>/dev/null; }

# service_ports NAME...: the ports of those that do not run yet.
service_ports() {
  local name
  for name in "$@"; do
    is_running "$name" && continue
    echo "$name"
    [[ $name != notifier ]] || echo notifier-api
  done
}

# What takes first, what is taken from last; 25 s is the grace period every service keeps.
stop_services() {
  local name
  stop_process simulate 5
  for name in "${SERVICES[@]}"; do stop_process "$name" 25 & done
  wait
}

# suite_up NAME...: infrastructure, topics, schemas and those services.
suite_up() {
  infra_up
  apply_topics_and_schemas
  start_services "$@" || die "not every service is ready; what did start keeps running ($(instance_prefix)scripts/down stops it)"
}

# Both return 1 when anything is down.
suite_status() {
  local name state status=0
  infra_status || status=1
  for name in "${SERVICES[@]}"; do
    if is_running "$name" && service_answers "$name"; then
      state="up    pid $(process_pid "$name")"
    else
      if is_running "$name"; then state='not ready'; else state='down'; fi
      status=1
    fi
    printf '%-20s %-6s %s\n' "$name" "${PORT[$name]}" "$state"
  done
  if is_running simulate; then printf '%-20s %-6s up    pid %s\n' simulate - "$(process_pid simulate)"; fi
  return $status
}
