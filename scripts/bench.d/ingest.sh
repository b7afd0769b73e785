# mqtt-bridge beside a bare MQTT subscriber on the same broker: messages/s at QoS 1, latency, order, memory

bench() {
  build mqtt-bridge
  measure ingest "$@"
}
