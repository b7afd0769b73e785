# commands at 100 a second, from a request to the API until the device is told and until that is verified; the broker alone beside it

bench() {
  build notifier outbox-relay device-commands mqtt-bridge
  measure commands "$@"
}
