# the whole suite on this machine: from a device's publish to a dashboard's event at 1,000, 5,000 and 10,000 readings/s, and where the time goes

bench() {
  local rates=(1000 5000 10000) seconds=300 alerts=10000 rate results=$ROOT/target/bench/e2e
  while (($#)); do
    case $1 in
      --rates) read -ra rates <<<"$2" && shift ;;
      --seconds) seconds=$2 && shift ;;
      --alerts) alerts=$2 && shift ;;
      --quick) rates=(1000) seconds=10 alerts=300 ;;
      --help) echo '--rates "1000 5000 10000"   --seconds N and --alerts N for each rate [300, 10000]   --quick' && return ;;
      *) die_usage "bench e2e: what is $1?" ;;
    esac
    shift
  done
  for part in images observability collector; do
    # shellcheck source=/dev/null
    source "$SCRIPTS/lib/$part.sh"
  done
  build "${SERVICES[@]}"
  apply_topics_and_schemas
  start_services "${SERVICES[@]}" || die "not every service is ready"
  rm -rf "$results" && mkdir -p "$results"
  "$BENCHES/report.py" --machine "$results/machine.json"
  # A JVM compiles for a while what its broker runs.
  probe 3000 "$((seconds > 30 ? 60 : 10))" 3000 >/dev/null
  for rate in "${rates[@]}"; do
    say "  $rate readings a second for $seconds s"
    run "$rate" "$rate" "$seconds"
  done
  say "  ${rates[0]} readings a second, the same alerts in a third of the time"
  run crowded "${rates[0]}" $((seconds / 3))
  if build_collector; then
    stop_services
    start_collector
    export FIELDWATCH__TELEMETRY__OTLP_ENDPOINT=http://127.0.0.1:$OTLP_PORT OTEL_BSP_SCHEDULE_DELAY=500
    start_services "${SERVICES[@]}" || die "not every service is ready"
    say "  with a collector, 1000 a second"
    probe 1000 20 1000 >"$results/traced.json" || warn "not every alert came"
    eventually 30 all_spans_are_there
    cp "$SPANS" "$results/spans.jsonl"
  else
    warn "the collector cannot be had: where the time goes is not shown"
  fi
  "$BENCHES/e2e.py" "$results" "$ROOT/target/bench/e2e.json"
}

# run NAME RATE SECONDS: what comes, what it costs, and what was planned for it.
run() {
  local name=$1 rate=$2 seconds=$3
  "$BENCHES/processes.py" "$PIDS" "$results/before-$name.json"
  probe "$rate" "$seconds" "$alerts" >"$results/$name.json" || warn "not every alert came"
  "$BENCHES/processes.py" "$PIDS" "$results/after-$name.json"
  fieldctl plan --devices 500 --rate "$rate" --alerts "$(awk "BEGIN { print $alerts / $seconds }")" --json >"$results/plan-$name.json" || true
}

# probe RATE SECONDS ALERTS: 500 devices over one connection, each reading at QoS 1.
probe() {
  fieldctl probe --mqtt "$(mqtt_url)" --api "$(api_url)" --key-file "$(api_key_file)" --json \
    --devices 500 --rate "$1" --readings $(($1 * $2)) --alerts "$3"
}

# Exporters wait for a batch: until nothing has come for a second.
all_spans_are_there() {
  local size
  size=$(stat -c %s "$SPANS") && ((size > 0)) || return 1
  (($(date +%s) - $(stat -c %Y "$SPANS") >= 2))
}
