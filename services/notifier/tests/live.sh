# A running notifier for checks that are not Rust: topics, database, key and ports of its own, all gone at the end.
# Needs the infrastructure's addresses (scripts/infra env) and built notifier and fieldctl; BIN names their folder.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CHECK=$(basename "$0" .sh)
# shellcheck source=scripts/lib/outside.sh
source "$HERE/../../../scripts/lib/outside.sh"
needs FIELDWATCH__KAFKA__BROKERS FIELDWATCH__REGISTRY__URL FIELDWATCH_TEST_POSTGRES_URL
built notifier fieldctl

free_ports() {
  python3 -c 'import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in held))'
}

database_server() { psql -X -q -v ON_ERROR_STOP=1 -d "$FIELDWATCH_TEST_POSTGRES_URL" -c "$1"; }

# Returns when it is ready. API is its address, BOOTSTRAP_KEY_FILE holds a key with every scope. Deliveries may go to this
# machine, over plain http; its mail server is one that nobody is.
start_notifier() {
  local name=$CHECK-$$-$RANDOM api admin deadline
  NOTIFIER='' DATABASE=${name//-/_} FOLDER=$(mktemp -d)
  trap stop_notifier EXIT
  trap 'exit 130' INT TERM
  read -r api admin < <(free_ports)
  API=http://127.0.0.1:$api
  export BOOTSTRAP_KEY_FILE=$FOLDER/key FIELDWATCH__KAFKA__TOPIC_PREFIX=$name-
  (umask 077 && python3 -c 'import secrets; print("fw_" + secrets.token_hex(32))' >"$BOOTSTRAP_KEY_FILE")
  database_server "CREATE DATABASE $DATABASE"
  "$BIN/fieldctl" topics apply >/dev/null
  "$BIN/fieldctl" schemas apply >/dev/null
  env NOTIFIER__API__LISTEN="127.0.0.1:$api" NOTIFIER__ADMIN__LISTEN="127.0.0.1:$admin" \
    NOTIFIER__DATABASE__URL="${FIELDWATCH_TEST_POSTGRES_URL%/*}/$DATABASE" NOTIFIER__DATABASE__PASSWORD_FILE='' \
    NOTIFIER__SECRETS__KEY="$(head -c 32 /dev/urandom | base64)" NOTIFIER__DELIVERY__ALLOWED_NETWORKS='["127.0.0.0/8"]' \
    NOTIFIER__SMTP__HOST=127.0.0.1 NOTIFIER__SMTP__PORT=9 NOTIFIER__SMTP__TLS=none NOTIFIER__SMTP__FROM=alerts@example.com \
    "$BIN/notifier" run >"$FOLDER/log" 2>&1 &
  NOTIFIER=$!
  deadline=$((SECONDS + 30))
  until curl -fsS --noproxy '*' --max-time 2 -o /dev/null "http://127.0.0.1:$admin/ready" 2>/dev/null; do
    if ((SECONDS >= deadline)) || ! notifier_runs; then
      printf '%s: the notifier did not become ready:\n%s\n' "$CHECK" "$(tail -n 25 "$FOLDER/log")" >&2
      exit 1
    fi
    sleep 0.1
  done
}

notifier_runs() { kill -0 "$NOTIFIER" 2>/dev/null; }

# At every end. Whatever was asked of it, the notifier has to run until it is told to stop, and then to stop well.
stop_notifier() {
  local status=$?
  trap '' INT TERM
  if [[ -n $NOTIFIER ]] && ! { notifier_runs && kill "$NOTIFIER" && wait "$NOTIFIER"; }; then
    echo "$CHECK: the notifier ended before it was told to, or not as it should" >&2
    status=1
  fi
  if ((status)); then printf -- '--- the last lines of the notifier\n%s\n---\n' "$(tail -n 25 "$FOLDER/log" 2>/dev/null)" >&2; fi
  "$BIN/fieldctl" topics delete --yes >/dev/null || true
  database_server "DROP DATABASE IF EXISTS $DATABASE WITH (FORCE)" || true
  rm -rf "$FOLDER"
  exit "$status"
}
