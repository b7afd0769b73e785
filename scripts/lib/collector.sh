# A real OpenTelemetry Collector that writes what it is sent into a file.

COLLECTOR_VERSION=v0.156.0
COLLECTOR=$TOOLS/otelcol-${COLLECTOR_VERSION#v}

# Only the parts that the collector of docker-compose.yml has, and a file to write to.
build_collector() {
  [[ ! -x $COLLECTOR ]] || return 0
  local folder builder=$TOOLS/otelcol-builder-$COLLECTOR_VERSION core=go.opentelemetry.io/collector
  build_go_tool "$builder" "$core/cmd/builder@$COLLECTOR_VERSION" || return 1
  folder=$(mktemp -d)
  cat >"$folder/builder.yaml" <<YAML
dist: { name: otelcol, output_path: $folder/out, module: fieldwatch/otelcol, version: ${COLLECTOR_VERSION#v} }
receivers: [{ gomod: $core/receiver/otlpreceiver $COLLECTOR_VERSION }]
processors:
  - { gomod: $core/processor/batchprocessor $COLLECTOR_VERSION }
  - { gomod: $core/processor/memorylimiterprocessor $COLLECTOR_VERSION }
exporters:
  - { gomod: $core/exporter/otlpexporter $COLLECTOR_VERSION }
  - { gomod: github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter $COLLECTOR_VERSION }
providers:
  # What has no scheme is an environment's: without it a collector does not start.
  - { gomod: $core/confmap/provider/envprovider v1.62.0 }
  - { gomod: $core/confmap/provider/fileprovider v1.62.0 }
YAML
  say "building the collector"
  CGO_ENABLED=0 "$builder" --config "$folder/builder.yaml" >&2 && mv "$folder/out/otelcol" "$COLLECTOR"
  rm -rf "$folder"
  [[ -x $COLLECTOR ]]
}

start_collector() {
  OTLP_PORT=$((4318 + FIELDWATCH_PORT_OFFSET))
  SPANS=$DATA/spans.jsonl
  cat >"$DATA/collector.yaml" <<YAML
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:$OTLP_PORT" } } } }
processors: { batch: { timeout: 200ms } }
exporters: { file: { path: $SPANS, flush_interval: 200ms } }
service:
  telemetry: { metrics: { level: none } }
  pipelines: { traces: { receivers: [otlp], processors: [batch], exporters: [file] } }
YAML
  start_process collector "$COLLECTOR" --config "$DATA/collector.yaml"
  wait_until_ready collector 20 port_is_taken "$OTLP_PORT"
}
