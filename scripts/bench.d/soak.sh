# the whole suite for an hour, its middle at ten times the rate: memory beside its limits, lag, files; plots

usage_soak() {
  cat <<'USAGE'
--minutes N   in all [60]; the middle sixth is the peak
--rate N      readings a second; ten times that in the peak [300]
--devices N   [200]
--quick       3 minutes: whether it works; too short to say that anything is flat
USAGE
}

bench() {
  local minutes=60 rate=300 devices=200 quick=() name
  while (($#)); do
    case $1 in
      --minutes) minutes=$2 && shift ;;
      --rate) rate=$2 && shift ;;
      --devices) devices=$2 && shift ;;
      --quick) minutes=3 quick=(--quick) ;;
      --help) usage_soak && return ;;
      *) die_usage "bench soak: what is $1?" ;;
    esac
    shift
  done
  build "${SERVICES[@]}"
  suite_up "${SERVICES[@]}"
  for name in 1 2 3 4 5; do watch_stream "$name"; done
  (
    export_environment
    "$BENCHES/soak.py" --minutes "$minutes" --rate "$rate" --devices "$devices" "${quick[@]}" \
      --mqtt "$(mqtt_url)" --fieldctl "$BIN/fieldctl" --pids "$PIDS" --root "$ROOT" --output "$ROOT/target/bench/soak"
  )
}

# A dashboard that looks on.
watch_stream() {
  start_background "stream-$1" curl -fsSN --noproxy '*' -o /dev/null -H "Authorization: Bearer $(<"$(api_key_file)")" \
    "$(api_url)/v1/notifications/stream"
}
