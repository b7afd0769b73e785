# anomaly-detector: µs a reading and memory a device, false alarms of a fleet without faults, readings/s on Kafka, restore

bench() {
  build anomaly-detector
  measure anomaly "$@"
}
