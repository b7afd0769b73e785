#!/usr/bin/env bash
# The suite as it is watched: a real OpenTelemetry Collector takes its traces, a real Prometheus scrapes it with the rules and is
# asked every query of the dashboards; faults raise their alerts, and the alerts clear again. An instance of its own.
set -euo pipefail
export FIELDWATCH_INSTANCE=telemetry
unset FIELDWATCH_DATA FIELDWATCH_PORT_OFFSET
for part in suite needs checks demo-checks dev-flow images observability collector alerts-live; do
  # shellcheck source=/dev/null
  source "$(dirname "${BASH_SOURCE[0]}")/$part.sh"
done

# Every second, with shorter windows, and without the patience that keeps people asleep.
start_prometheus() {
  local name
  PROMETHEUS_PORT=$((9090 + FIELDWATCH_PORT_OFFSET))
  sed -E 's/^( *for:) .*/\1 2s/; s/\[(3|5|10|15)m\]|\[1h\]/[15s]/g; s/offset (15m|1h)/offset 15s/; s/> 60$/> 3/' "$OBSERVABILITY/rules.yaml" >"$DATA/rules.yaml"
  cp "$OBSERVABILITY/prometheus.yaml" "$DATA/prometheus.yaml"
  sed -i -E 's/_interval: 15s/_interval: 1s/g' "$DATA/prometheus.yaml"
  for name in "${SERVICES[@]}"; do sed -i -E "s/\"$name:[0-9]+\"/\"127.0.0.1:${PORT[$name]}\"/" "$DATA/prometheus.yaml"; done
  start_process prometheus prometheus --config.file="$DATA/prometheus.yaml" --storage.tsdb.path="$DATA/prometheus" \
    --web.listen-address="127.0.0.1:$PROMETHEUS_PORT" --log.level=warn
  wait_until_ready prometheus 30 prometheus_answers
}

prometheus_answers() { curl -fsS --noproxy '*' --max-time 2 -o /dev/null "http://127.0.0.1:$PROMETHEUS_PORT/-/ready" 2>/dev/null; }

# ask QUERY: how many series it returns.
ask() {
  curl -fsS --noproxy '*' --max-time 10 --data-urlencode "query=$1" "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/query" |
    python3 -c 'import json, sys; print(len(json.load(sys.stdin)["data"]["result"]))'
}

has_data() { (($(ask "$1") > 0)); }
has_none() { (($(ask "$1") == 0)); }
is_raised() { has_data "ALERTS{alertname=\"$1\", alertstate=\"firing\"}"; }
is_quiet() { has_none "ALERTS{alertname=\"$1\"}"; }
readings_flow() { has_data 'sum(rate(fieldwatch_messages_out_total{job="mqtt-bridge"}[1m])) > 0'; }

every_query_returns_data() {
  "$OBSERVABILITY/dashboards.py" --queries | python3 -c '
import json, sys, urllib.parse, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
asked, empty = 0, []
for line in sys.stdin:
    dashboard, panel, query = line.rstrip("\n").split("\t")
    asked += 1
    asking = urllib.parse.urlencode(dict(query=query))
    with opener.open(f"{sys.argv[1]}/api/v1/query?{asking}", timeout=10) as answer:
        if not json.load(answer)["data"]["result"]:
            empty.append(f"{dashboard}, {panel}: {query}")
print(*empty, f"{asked} queries, {len(empty)} without data", sep="\n")
sys.exit(bool(empty))
' "http://127.0.0.1:$PROMETHEUS_PORT"
}

# Of one notification, from the collector's file: a trace that begins at the bridge and has every service in it.
a_trace_is_whole() {
  python3 - "$SPANS" <<'PYTHON'
import collections, json, sys
traces = collections.defaultdict(list)
for line in open(sys.argv[1]):
    for resource in json.loads(line)["resourceSpans"]:
        attributes = {entry["key"]: entry["value"].get("stringValue") for entry in resource["resource"]["attributes"]}
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                traces[span["traceId"]].append((attributes["service.name"], span))
wanted = {"mqtt-bridge", "temperature-alert", "notifier", "outbox-relay"}
whole = 0
for spans in traces.values():
    ids = {span["spanId"] for _, span in spans}
    roots = [span for _, span in spans if not span.get("parentSpanId")]
    follows = all(
        span["parentSpanId"] in ids and any(link["spanId"] == span["parentSpanId"] for link in span.get("links", []))
        for _, span in spans if span.get("parentSpanId")
    )
    whole += len(roots) == 1 and follows and wanted <= {service for service, _ in spans}
print(f"{whole} whole traces through {len(wanted)} services among {len(traces)}")
sys.exit(whole == 0)
PYTHON
}

check_telemetry() {
  local name ports
  require_packages prometheus
  build_collector || exit 1
  mapfile -t ports < <(all_ports)
  begin_check 4000 "${ports[@]}"
  build "${SERVICES[@]}"
  mkdir -p "$DATA"
  infra_up
  start_collector
  start_prometheus
  export FIELDWATCH__TELEMETRY__OTLP_ENDPOINT=http://127.0.0.1:$OTLP_PORT FIELDWATCH__TELEMETRY__SAMPLE_RATIO=1.0 OTEL_BSP_SCHEDULE_DELAY=500
  faults_are_possible
  apply_topics_and_schemas
  start_services "${SERVICES[@]}" || die "not every service is ready"
  start_simulator
  open_stream
  publish 1 iot/sensor/temperature "$(reading telemetry-check 31.5)"
  publish 1 iot/sensor/temperature "not a reading"
  check "a reading leads to a notification" eventually 60 is_listed telemetry-check
  check "the collector of docker-compose.yml takes its configuration" "$COLLECTOR" validate --config "$OBSERVABILITY/collector.yaml"
  check "a whole trace is with the collector" eventually 60 a_trace_is_whole
  check "every service is scraped" eventually 60 has_none 'up == 0'
  check "readings are counted" eventually 60 readings_flow
  check "every query of the dashboards returns data" eventually 90 every_query_returns_data

  check_alerts
  end_check
}

check_telemetry
