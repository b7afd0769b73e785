# For checks that are not Rust, beside the service they check: sourced with HERE set to their folder and CHECK to their name.
# Needs the infrastructure's addresses (scripts/infra env); BIN names the folder of the built programs.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BIN=${BIN:-${CARGO_TARGET_DIR:-$ROOT/target}/debug}

# needs VARIABLE...: what `scripts/infra env` sets.
needs() {
  local variable
  for variable in "$@"; do
    [[ -n ${!variable:-} ]] || { echo "$CHECK: $variable is not set: eval \"\$(scripts/infra env)\"" >&2 && exit 1; }
  done
}

# built PROGRAM...: in BIN.
built() {
  local program
  for program in "$@"; do
    [[ -x $BIN/$program ]] || { echo "$CHECK: $BIN/$program is not built" >&2 && exit 1; }
  done
}

# prepare_python NAME: VENV is a Python environment with what HERE/requirements.txt names, made once. It is complete only
# when its copy of the requirements says so.
prepare_python() {
  VENV=${FIELDWATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fieldwatch}/venv-$1
  cmp -s "$HERE/requirements.txt" "$VENV/requirements.txt" && return
  mkdir -p "$(dirname "$VENV")"
  (
    flock 9
    cmp -s "$HERE/requirements.txt" "$VENV/requirements.txt" && exit
    rm -rf "$VENV"
    python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check -r "$HERE/requirements.txt"
    cp "$HERE/requirements.txt" "$VENV/requirements.txt"
  ) 9>"$VENV.lock"
}
