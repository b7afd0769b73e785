# Images for a machine that cannot pull: those of docker-compose.yml and services/Dockerfile, made of Debian packages, the servers
# that scripts/infra runs and this machine's Rust. An image that is there or can be pulled is taken as it is.

# The image, and the stage of scripts/stand-ins/Dockerfile in its place; Debian itself comes from debootstrap.
STAND_INS='
debian:bookworm-slim               -
debian:trixie-slim                 -
apache/kafka:4.3.1                 kafka
apicurio/apicurio-registry:3.3.3   registry
postgres:17                        postgres
eclipse-mosquitto:2                mosquitto
rust:1.95-bookworm                 rust'
STAND_IN_PACKAGES=(debootstrap)
STAND_IN_LOG=$ROOT/target/stand-ins.log

stand_ins() {
  local image stage suite
  while read -r image stage <&4; do
    [[ -n $image ]] && ! has_image "$image" || continue
    say "$image cannot be pulled: making a stand-in"
    suite=${image#debian:}
    if [[ $stage == - ]]; then debian_image "$image" "${suite%-slim}"; else stand_in "$image" "$stage"; fi || return 1
  done 4<<<"$STAND_INS"
}

has_image() { docker image inspect "$1" >/dev/null 2>&1 || timeout 60 docker pull -q "$1" >/dev/null 2>&1; }

# debian_image IMAGE SUITE: with the authorities this machine trusts, so that what is fetched here can be fetched there.
debian_image() {
  local image=$1 suite=$2 root
  require_packages "${STAND_IN_PACKAGES[@]}"
  root=$(mktemp -d)
  debootstrap --variant=minbase "$suite" "$root" >"$STAND_IN_LOG" 2>&1 || { tail -n 3 "$STAND_IN_LOG" && return 1; }
  mkdir -p "$root/usr/local/share/ca-certificates"
  cp /etc/ssl/certs/ca-certificates.crt "$root/usr/local/share/ca-certificates/host.crt"
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  tar -C "$root" -c . | docker import - "$image" >/dev/null || return 1
  rm -rf "$root"
}

stand_in() {
  local context=$CACHE/stand-ins
  mkdir -p "$context"
  case $2 in
    kafka) cp "$SCRIPTS/infra.d/log4j2.properties" "$SCRIPTS/stand-ins/kafka-entrypoint" "$context" && link "$KAFKA_HOME" "$context/kafka" ;;
    registry) link "$APICURIO_HOME" "$context/apicurio" ;;
    postgres) cp "$SCRIPTS/stand-ins/postgres-entrypoint" "$context" ;;
    rust) link "$(rustc --print sysroot)" "$context/toolchain" ;;
  esac || return 1
  DOCKER_BUILDKIT=1 docker build -q --network host -t "$1" --target "$2" -f "$SCRIPTS/stand-ins/Dockerfile" "$context" >"$STAND_IN_LOG" 2>&1 ||
    { tail -n 20 "$STAND_IN_LOG" && return 1; }
}

# link FROM TO: the same files again, without their bytes where one disk has both.
link() { rm -rf "$2" && { cp -rlL "$1" "$2" 2>/dev/null || { rm -rf "$2" && cp -rL "$1" "$2"; }; }; }
