# outbox-relay: drain of a backlog, latency and CPU under steady load, beside a held snapshot, after kill -9

bench() {
  build outbox-relay
  measure outbox "$@"
}
