# What a run needs of the machine, said before anything is changed: every shortage is named, all at once, within seconds.

NEEDED_MEMORY_MIB=1500
NEEDED_DISK_MIB=6000

# print_needs PORT_NAME...: a short plan for a person.
print_needs() {
  local name ports=''
  for name in "$@"; do ports+=" ${PORT[$name]}"; done
  title "This needs:"
  say "  download  $(download_mib) MiB (cached in $CACHE), and the crates of Cargo.lock once"
  say "  memory    $NEEDED_MEMORY_MIB MiB ($(available_memory_mib) MiB are free)"
  say "  disk      $NEEDED_DISK_MIB MiB ($(available_disk_mib) MiB are free), most of it in target/"
  say "  ports    ${ports:- none beyond those in use already}, on 127.0.0.1"
}

# Sizes of the pinned files that are not in the cache yet.
download_mib() {
  local sum=0
  [[ -d $KAFKA_HOME ]] || ((sum += 55))
  [[ -d $APICURIO_HOME ]] || ((sum += 155))
  [[ -d $ONNXRUNTIME_HOME ]] || ((sum += 23))
  find_java 21 >/dev/null || ((sum += 32))
  echo "$sum"
}

available_memory_mib() { awk '/^MemAvailable/ {print int($2 / 1024)}' /proc/meminfo; }
available_disk_mib() { df -Pm "$ROOT" | awk 'NR == 2 {print $4}'; }

# require_needs PORT_NAME...: returns 1 after naming everything that is missing or taken. Tools and packages that apt has
# are no shortage when there is consent to install them.
require_needs() {
  local short=0 tool package packages=() missing
  while read -r tool package; do
    if [[ $package == - ]]; then
      fail "$tool is missing: install Rust $(rust_version) or newer (rustup.rs)"
      short=1
    elif tool_is_installed "$tool" "$package"; then
      fail "$tool is missing from the PATH, although it is installed on this machine"
      short=1
    else
      packages+=("$package")
      has_consent || fail "$tool is missing"
    fi
  done < <(missing_tools)
  require_rust || short=1
  mapfile -t missing < <(missing_packages "${SERVER_PACKAGES[@]}" "${BUILD_PACKAGES[@]}")
  mapfile -t packages < <(printf '%s\n' "${packages[@]}" "${missing[@]}" | sed '/^$/d' | sort -u)
  if ((${#packages[@]})) && ! has_consent; then
    fail "system packages are missing: ${packages[*]}. Run: $(install_command "${packages[@]}")   (or give --yes)"
    short=1
  fi
  if (($(available_memory_mib) < NEEDED_MEMORY_MIB)); then
    fail "memory: $(available_memory_mib) MiB are free, $NEEDED_MEMORY_MIB are needed"
    short=1
  fi
  if (($(available_disk_mib) < NEEDED_DISK_MIB)); then
    fail "disk: $(available_disk_mib) MiB are free at $ROOT, $NEEDED_DISK_MIB are needed"
    short=1
  fi
  require_free_ports "$@" || short=1
  ((short == 0)) || return 1
  if ((${#packages[@]})); then install_packages "${packages[@]}"; fi
}

rust_version() { sed -nE 's/^rust-version = "(.*)"/\1/p' "$ROOT/Cargo.toml"; }

require_rust() {
  local wanted have
  command -v cargo >/dev/null || return 0
  wanted=$(rust_version)
  have=$(cd "$ROOT" && timeout 4 cargo --version 2>/dev/null | awk '{print $2}') || have=''
  if [[ -z $have ]]; then
    fail "cargo does not run (cargo --version fails)"
    return 1
  fi
  if [[ $(printf '%s\n' "$wanted" "$have" | sort -V | head -n 1) != "$wanted" ]]; then
    fail "cargo $have is too old: Rust $wanted or newer is needed"
    return 1
  fi
}

# ask_consent: on a terminal, before packages are installed; elsewhere only --yes counts.
ask_consent() {
  local missing answer
  if has_consent || [[ ! -t 0 ]]; then return; fi
  mapfile -t missing < <(missing_packages "${SERVER_PACKAGES[@]}" "${BUILD_PACKAGES[@]}" && missing_tools | awk '$2 != "-" {print $2}')
  ((${#missing[@]})) || return 0
  read -r -p "Install the Debian packages ${missing[*]}? [y/N] " answer
  [[ ${answer,,} != y && ${answer,,} != yes ]] || ASSUME_YES=1
}
