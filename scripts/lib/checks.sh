# Named checks with a verdict each, a table of them at the end, and waiting for what takes effect later.
# A run of checks has an instance of its own: fresh before, stopped and deleted after, whatever happened between.

CHECKED=() FAILED=0

# begin_check FIRST_OFFSET PORT_NAME...: one run at a time in this folder; what a killed run left behind goes first.
begin_check() {
  local first=$1
  shift
  CHECK_BEGAN=$SECONDS
  mkdir -p "$ROOT/target"
  exec 7>"$ROOT/target/.$INSTANCE.lock"
  flock --nonblock 7 || die "another check of this kind is running in this folder (instance $INSTANCE)"
  if ((EUID == 0)); then ASSUME_YES=1; fi
  stop_services
  stop_watchers
  infra_down 1 2>/dev/null
  if [[ -z ${FIELDWATCH_PORT_OFFSET:-} ]]; then claim_port_offset "$first"; else set_ports; fi
  print_needs "$@"
  require_needs "$@" || exit 1
  trap 'exit 130' INT TERM
  trap clean_up EXIT
}

# end_check: stops the services under check, prints the table; 1 when anything failed.
end_check() {
  check "services stop within their grace" stops_in_time
  summary
  say "took $((SECONDS - CHECK_BEGAN)) s"
  ((FAILED == 0))
}

stops_in_time() {
  local said
  said=$(stop_services 2>&1)
  [[ -z $said ]] || { echo "$said" && return 1; }
}

# Runs at every end, Ctrl-C included. The logs of a run that failed stay.
clean_up() {
  local status=$?
  trap '' INT TERM
  end_jobs 2>/dev/null
  title "Stopping"
  stop_services
  stop_watchers
  if ((status == 0)); then infra_down 1; else infra_down 0; fi
  exit "$status"
}

# What a check started besides services and servers.
stop_watchers() {
  local file name
  for file in "$PIDS"/*; do
    name=${file##*/}
    [[ ! -f $file || " ${SERVERS[*]} " == *" $name "* ]] || stop_process "$name" 10
  done
}

# check NAME COMMAND...: runs it; what it prints is its detail. A failed check does not end the script.
check() {
  local name=$1 detail began=$SECONDS verdict
  shift
  if detail=$("$@" 2>&1); then
    verdict="${GREEN}ok  $PLAIN"
  else
    verdict="${RED}FAIL$PLAIN"
    FAILED=$((FAILED + 1))
    detail=${detail:-no detail, after $((SECONDS - began)) s}
  fi
  CHECKED+=("$verdict  $name${detail:+: $(tail -n 3 <<<"$detail" | tr '\n' ' ' | cut -c 1-240)}")
  say "  ${CHECKED[-1]}"
}

# eventually SECONDS COMMAND...: repeats it until it succeeds.
eventually() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    if ((SECONDS >= deadline)); then return 1; fi
    sleep 0.3
  done
}

summary() {
  local line
  title "Summary"
  for line in "${CHECKED[@]}"; do say "  $line"; done
  if ((FAILED)); then say "${RED}$FAILED of ${#CHECKED[@]} checks failed$PLAIN"; else say "${GREEN}all ${#CHECKED[@]} checks passed$PLAIN"; fi
}

# api METHOD PATH [BODY]: the notification API with this instance's key; prints the body, then the status on a line of its own.
api() {
  local method=$1 path=$2 body=()
  [[ $# -lt 3 ]] || body=(-H 'Content-Type: application/json' --data "$3")
  curl -sS --noproxy '*' --max-time 10 -X "$method" -H "Authorization: Bearer $(<"$(api_key_file)")" "${body[@]}" \
    -w '\n%{http_code}\n' "$(api_url)/v1$path"
}

# publish QOS TOPIC PAYLOAD
publish() {
  local at
  mapfile -t at < <(mqtt_device)
  mosquitto_pub "${at[@]}" -q "$1" -t "$2" -m "$3"
}

# reading DEVICE TEMPERATURE: the plain JSON any device sends, now.
reading() { printf '{"device_id": "%s", "temperature": %s, "timestamp": %s}' "$1" "$2" "$(date +%s.%6N)"; }
