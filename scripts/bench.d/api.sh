# notifier with a million notifications: lists, deep pages, counts, alerts taken in, event streams with one client and a thousand

bench() {
  build notifier outbox-relay
  measure api "$@"
}
