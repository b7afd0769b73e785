# Debian packages and command-line tools. Nothing is installed without consent: --yes, or CI=true.

SERVER_PACKAGES=(postgresql mosquitto mosquitto-clients)
BUILD_PACKAGES=(libssl-dev zlib1g-dev libzstd-dev libcurl4-openssl-dev pkg-config cmake)

# tool, and the Debian package that has it (- when there is none)
TOOLS='
cargo    -
cc       build-essential
java     default-jre-headless
mvn      maven
python3  python3
curl     curl
cmake    cmake
pkg-config pkg-config
flock    util-linux
setsid   util-linux'

has_consent() { [[ ${ASSUME_YES:-} == 1 || ${CI:-} == true ]]; }

package_is_installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# Prints those of the given packages that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    # cmake and pkg-config also come from elsewhere; the command is what counts.
    case $package in
      cmake | pkg-config) command -v "$package" >/dev/null && continue ;;
    esac
    package_is_installed "$package" || echo "$package"
  done
}

# tool_is_installed TOOL PACKAGE: it is on this machine, so when it is not on the PATH no package will bring it there.
tool_is_installed() { package_is_installed "$2" || [[ $1 == java && -n $(compgen -G '/usr/lib/jvm/*/bin/java') ]]; }

# Prints "tool package" for each tool that is not on the PATH.
missing_tools() {
  local tool package
  while read -r tool package; do
    [[ -z $tool ]] || command -v "$tool" >/dev/null || echo "$tool $package"
  done <<<"$TOOLS"
  if command -v python3 >/dev/null && ! python3 -m pip --version >/dev/null 2>&1; then echo "pip python3-pip"; fi
}

install_command() { echo "$( ((EUID == 0)) || echo 'sudo ')apt-get install -y --no-install-recommends $*"; }

# require_packages NAME...: installs what is missing, or says exactly what to run.
require_packages() {
  local missing=()
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || die "missing packages: ${missing[*]} (this is not Debian or Ubuntu: install what corresponds to them)"
  has_consent || die "missing packages: ${missing[*]}. Run: $(install_command "${missing[@]}")   (or give --yes)"
  install_packages "${missing[@]}"
}

install_packages() {
  local as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "installing $* needs root. Run as root: apt-get install -y --no-install-recommends $*"
    as_root=(sudo)
  fi
  say "installing $*"
  {
    "${as_root[@]}" apt-get update -q &&
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
  } >&2 || die "apt-get could not install: $*"
  # The packages start servers of their own where there is a systemd; ours run beside them on the same ports.
  local package
  for package in "$@"; do
    case $package in
      postgresql | mosquitto | prometheus) "${as_root[@]}" systemctl disable --now "$package" >/dev/null 2>&1 || true ;;
    esac
  done
}
