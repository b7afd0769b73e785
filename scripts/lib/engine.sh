# A container engine for a check: the one that answers, else Debian's, started here with its data under target and stopped after.

ENGINE=$ROOT/target/docker
BUILDX_VERSION=v0.30.1

engine_lacks() {
  engine_runs || { ((EUID == 0)) && { command -v dockerd >/dev/null || command -v apt-get >/dev/null; }; } || echo "no container engine answers, and only root can start one"
}

start_engine() {
  own_plugins || return 1
  engine_runs && return
  require_packages docker.io
  mkdir -p "$ENGINE"
  export DOCKER_HOST=unix://$ENGINE/docker.sock
  engine_runs && return
  start_process dockerd dockerd --data-root "$ENGINE/data" --exec-root "$ENGINE/exec" --pidfile "$ENGINE/pid" --host "$DOCKER_HOST"
  wait_until_ready dockerd 30 engine_runs
}

stop_engine() { stop_process dockerd 30; }

# Compose and buildx, for a docker that has none.
own_plugins() {
  local plugins=$TOOLS/docker/cli-plugins
  if docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; then return; fi
  mkdir -p "$plugins"
  build_go_tool "$plugins/docker-buildx" "github.com/docker/buildx/cmd/buildx@$BUILDX_VERSION" || return 1
  build_compose && ln -sf "$TOOLS/docker-compose-$COMPOSE_VERSION" "$plugins/docker-compose" || return 1
  export DOCKER_CONFIG=$TOOLS/docker
}
