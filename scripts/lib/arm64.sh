# mqtt-bridge for a small ARM board: cross-built here and, emulated, tried against the real infrastructure.

ARM64=aarch64-unknown-linux-gnu
ARM64_PACKAGES='libssl-dev libssl3 libc6 libgcc-s1'

# Prints what the machine lacks; nothing when all is there. None of it is installed unasked.
arm64_lacks() {
  local program
  for program in aarch64-linux-gnu-gcc aarch64-linux-gnu-g++ apt-get dpkg-deb; do
    command -v "$program" >/dev/null || { echo "$program is not there (Debian: g++-aarch64-linux-gnu)" && return; }
  done
  [[ -d $(rustc --print target-libdir --target $ARM64) ]] || echo "Rust's target $ARM64 is not there (rustup target add $ARM64)"
}

# What is for arm64, and an emulator, unpacked into a folder of our own; prints it.
arm64_folder() {
  local folder=$CACHE/arm64-sysroot package
  if [[ ! -e $folder/complete ]]; then
    rm -rf "$folder"
    mkdir -p "$folder"/{lists/partial,cache/archives/partial,packages,sysroot,emulator}
    local apt=(apt-get -qq -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder/cache")
    apt+=(-o APT::Sandbox::User=root -o APT::Architecture=arm64 -o APT::Architectures=arm64)
    # shellcheck disable=SC2086 # a list of names
    (
      cd "$folder/packages" && "${apt[@]}" update && "${apt[@]}" download $ARM64_PACKAGES &&
        apt-get -qq -o APT::Sandbox::User=root download qemu-user-static
    ) >&2 || return
    for package in "$folder"/packages/*_arm64.deb; do dpkg-deb -x "$package" "$folder/sysroot" || return; done
    dpkg-deb -x "$folder"/packages/qemu-user-static_*.deb "$folder/emulator" || return
    # One folder with lib and include, as openssl-sys and CMake look for them.
    mkdir -p "$folder/openssl/lib"
    cp -rT "$folder/sysroot/usr/include" "$folder/openssl/include"
    cp -r "$folder/sysroot/usr/include/aarch64-linux-gnu/." "$folder/openssl/include"
    cp -a "$folder"/sysroot/usr/lib/aarch64-linux-gnu/lib{ssl,crypto}* "$folder/openssl/lib"
    : >"$folder/complete"
  fi
  echo "$folder"
}

arm64_build() {
  local openssl=$1/openssl
  env CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc CXX_aarch64_unknown_linux_gnu=aarch64-linux-gnu-g++ \
    AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar \
    AARCH64_UNKNOWN_LINUX_GNU_OPENSSL_DIR="$openssl" OPENSSL_ROOT_DIR="$openssl" CMAKE_PREFIX_PATH="$openssl" \
    cargo build --locked -p mqtt-bridge --target $ARM64
}

# Plain paho-mqtt through the emulated bridge, with the profile for small boards and its spool.
check_arm64() {
  local folder bin
  folder=$(arm64_folder) && arm64_build "$folder" && cargo build --locked -p fieldctl || return
  scripts_infra up --yes || return
  bin=$(mktemp -d)
  ln -s "$ROOT/target/debug/fieldctl" "$bin/fieldctl"
  printf '#!/bin/sh\nexec "%s" -L "%s" "%s" --config "%s" "$@"\n' "$folder/emulator/usr/bin/qemu-aarch64-static" "$folder/sysroot" \
    "${CARGO_TARGET_DIR:-$ROOT/target}/$ARM64/debug/mqtt-bridge" "$ROOT/services/mqtt-bridge/edge.toml" >"$bin/mqtt-bridge"
  chmod +x "$bin/mqtt-bridge"
  (
    eval "$(scripts_infra env)"
    BIN=$bin MQTT_BRIDGE__SPOOL__FOLDER=$bin/spool services/mqtt-bridge/tests/paho.sh
  )
  local status=$?
  rm -rf "$bin"
  return "$status"
}
