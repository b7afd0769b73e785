#!/usr/bin/env bash
# The dashboard: what notifier embeds is what its source builds, and a browser uses every view of it on a running suite with
# simulated devices. An instance of its own on free ports; leaves nothing running.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: services/notifier/tests/dashboard.sh [--screenshots] [PLAYWRIGHT_ARGUMENT...]

--screenshots  also writes the pictures of the README
USAGE
}

export FIELDWATCH_INSTANCE=dashboard
unset FIELDWATCH_DATA
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
for part in suite needs checks; do
  # shellcheck source=/dev/null
  source "$ROOT/scripts/lib/$part.sh"
done
DASHBOARD=$ROOT/services/notifier/dashboard
EMBEDDED=$ROOT/services/notifier/assets
OUTPUT=$ROOT/target/dashboard

case ${1:-} in
  -h | --help) usage && exit 0 ;;
  --screenshots) export FIELDWATCH_SCREENSHOTS=$DASHBOARD/docs && shift ;;
esac

# Prints the browser's path.
browser() { command -v chromium || command -v google-chrome || command -v chromium-browser; }

# What the lockfile names, once for each of its versions.
install_modules() {
  cmp -s "$DASHBOARD/package-lock.json" "$DASHBOARD/node_modules/.installed" && return
  npm --prefix "$DASHBOARD" ci --no-progress && cp "$DASHBOARD/package-lock.json" "$DASHBOARD/node_modules/.installed"
}

embedded_is_built() {
  FIELDWATCH_ASSETS=$OUTPUT/assets npm --prefix "$DASHBOARD" run --silent build >"$OUTPUT/build.log" 2>&1 || { tail -n 20 "$OUTPUT/build.log" && return 1; }
  diff -rq "$OUTPUT/assets" "$EMBEDDED" && return
  echo "services/notifier/assets is not what its source builds: npm --prefix services/notifier/dashboard run build"
  return 1
}

# Two hours of a few devices for their history, then fifty of them, live; and lamps that take commands, of which the first cannot.
start_devices() {
  fieldctl simulate --mqtt "$(mqtt_url)" --seed 7 --devices 6 --speedup 1800 --rate 540 --count 2160 || return
  start_background lamps "$BIN/fieldctl" simulate --mqtt "$(mqtt_url)" --prefix lamp --devices 3 --rate 1 --actuators --misbehave error=1
  start_background simulate "$BIN/fieldctl" simulate --mqtt "$(mqtt_url)" --seed 7 --devices 50 --rate 25
}

use_with_browser() {
  env FIELDWATCH_API="$(api_url)" FIELDWATCH_KEY_FILE="$(api_key_file)" FIELDWATCH_MQTT_PORT="${PORT[mosquitto]}" \
    FIELDWATCH_FIELDCTL="$BIN/fieldctl" FIELDWATCH_TEST_OUTPUT="$OUTPUT/browser" CHROMIUM="$(browser)" \
    "$DASHBOARD/node_modules/.bin/playwright" test --config "$DASHBOARD" "$@" >&2
}

mapfile -t ports < <(all_ports)
begin_check 4000 "${ports[@]}"
browser >/dev/null || require_packages chromium
with_node
build "${SERVICES[@]}"
mkdir -p "$OUTPUT"
check "the lockfile's packages are installed" install_modules
check "what notifier embeds is what the source builds" embedded_is_built
export FIELDWATCH__TELEMETRY__SAMPLE_RATIO=1.0
export NOTIFIER__API__TRACE_URL='http://traces.example/{trace_id}' NOTIFIER__DELIVERY__ALLOWED_NETWORKS='["127.0.0.0/8"]'
suite_up "${SERVICES[@]}"
check "devices publish" start_devices
if ! (export_environment && use_with_browser "$@"); then
  fail "the browser's tests failed; what was on the page is in $OUTPUT/browser"
  FAILED=$((FAILED + 1))
fi
end_check
