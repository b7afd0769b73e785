# The same four servers from docker-compose.yml, for a machine with a container engine. Compose reads the ports
# (FIELDWATCH_KAFKA_PORT, ...) and FIELDWATCH_POSTGRES_PASSWORD, so that `infra env` says the same for both kinds.

containers_up() {
  require_engine
  require_own_folder
  fetch native
  mkdir -p "$DATA"
  save_ports
  compose up -d --wait "${SERVERS[@]}"
}

containers_down() {
  require_engine
  if (($1)); then compose down --volumes; else compose stop "${SERVERS[@]}"; fi
}

containers_status() {
  local name status=0 state
  require_engine
  for name in "${SERVERS[@]}"; do
    state=$(compose ps --format '{{.Health}}' "$name")
    [[ $state == healthy ]] || status=1
    printf '%-20s %s\n' "$name" "${state:-down}"
  done
  return $status
}

compose() { FIELDWATCH_POSTGRES_PASSWORD=$(<"$(secret_file postgres-password)") in_compose "$@"; }

# The same with whatever passwords it makes itself.
in_compose() {
  local name
  (
    for name in "${!PORT[@]}"; do export "$(port_variable "$name")=${PORT[$name]}"; done
    docker compose -p "fieldwatch-$INSTANCE" -f "$ROOT/docker-compose.yml" "$@"
  )
}

require_engine() {
  command -v docker >/dev/null || die "--containers needs docker, which is not on the PATH"
  docker compose version >/dev/null 2>&1 || die "--containers needs the compose plugin of docker"
  docker info >/dev/null 2>&1 || die "--containers needs a running container engine; docker info answers nothing"
}
