# outbox-relay beside Debezium Server: drain of a backlog, latency and CPU under steady load, beside a snapshot, after kill -9

bench() {
  build outbox-relay
  debezium_environment || warn "Debezium Server cannot be had: the relay is measured alone"
  measure outbox "$@"
}
