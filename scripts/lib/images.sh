# Checks of docker-compose.yml and the images. The compose plugin is built from its Go module where docker has none;
# images build only where an engine runs (engine.sh starts one).

COMPOSE_VERSION=v5.5.1
TOOLS=$CACHE/tools

# compose_plugin: prints a program that understands `config`; fails when there is none and no Go to build it with.
compose_plugin() {
  if docker compose version >/dev/null 2>&1; then
    echo docker compose
    return
  fi
  build_compose && echo "$TOOLS/docker-compose-$COMPOSE_VERSION"
}

build_compose() { build_go_tool "$TOOLS/docker-compose-$COMPOSE_VERSION" "github.com/docker/compose/v5/cmd@$COMPOSE_VERSION"; }

# build_go_tool FILE PACKAGE@VERSION: unless FILE is there, in a module of its own, so that its own pinned dependencies
# are used. One at a time, whoever asks.
build_go_tool() {
  local file=$1 package=${2%@*} version=${2#*@}
  [[ ! -x $file ]] || return 0
  command -v go >/dev/null || { fail "$(basename "$file") is not there, and no Go to build it with"; return 1; }
  mkdir -p "$TOOLS"
  (
    flock 5
    [[ ! -x $file ]] || exit 0
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    cd "$folder" && go mod init tool && go get -tool "$package@$version" &&
      CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$file.new" "$package" && mv "$file.new" "$file"
  ) 5>"$TOOLS/.lock" >&2
}

check_compose() {
  local program profiles
  program=$(compose_plugin) || return 3
  for profiles in '' '--profile load' '--profile observability' '--profile observability --profile load'; do
    # shellcheck disable=SC2086 # words
    $program -f "$ROOT/docker-compose.yml" $profiles config --quiet || return 1
  done
  check_same_settings || return 1
  echo "docker-compose.yml is valid"
}

# The broker and the MQTT broker have the same settings in containers as without: all but addresses and folders.
check_same_settings() {
  local key value variable line missing=''
  while IFS='=' read -r key value; do
    case $key in '' | '#'* | *listener* | *quorum* | log.dirs) continue ;; esac
    variable=KAFKA_${key^^}
    grep -Eqx " +${variable//./_}: \"?$value\"?" "$ROOT/docker-compose.yml" || missing+=$'\n'"  $key=$value"
  done <"$SCRIPTS/infra.d/server.properties"
  while read -r line; do
    case $line in '' | '#'* | listener* | persistence_location*) continue ;; esac
    grep -qxF "      $line" "$ROOT/docker-compose.yml" || missing+=$'\n'"  $line"
  done <"$SCRIPTS/infra.d/mosquitto.conf"
  [[ -z $missing ]] || { fail "docker-compose.yml lacks settings of scripts/infra.d:$missing"; return 1; }
}

engine_runs() { docker info >/dev/null 2>&1; }

build_images() {
  local name
  for name in "${SERVICES[@]}" fieldctl; do
    DOCKER_BUILDKIT=1 docker build --build-arg "SERVICE=$name" -t "fieldwatch/$name:dev" -f "$ROOT/services/Dockerfile" "$ROOT" || return 1
  done
}
