# mqtt-bridge beside a bare MQTT subscriber and Telegraf on the same broker: messages/s at QoS 1, latency, order, memory

TELEGRAF=v1.36.4

# Telegraf with no more than it needs here, built once; prints its path.
telegraf() {
  local folder=$CACHE/telegraf-$TELEGRAF
  if [[ ! -x $folder/telegraf ]]; then
    GOBIN=$folder go install -tags custom,inputs.mqtt_consumer,outputs.kafka,parsers.json,serializers.json \
      -ldflags "-X github.com/influxdata/telegraf/internal.Version=${TELEGRAF#v}" "github.com/influxdata/telegraf/cmd/telegraf@$TELEGRAF" >&2 || return
  fi
  echo "$folder/telegraf"
}

bench() {
  local peer=() program
  build mqtt-bridge
  if ! command -v go >/dev/null; then
    warn "without Go there is no Telegraf to measure beside"
  elif program=$(telegraf); then
    peer=(--telegraf "$program")
  else
    warn "Telegraf $TELEGRAF could not be built: not measured beside"
  fi
  measure ingest "${peer[@]}" "$@"
}
