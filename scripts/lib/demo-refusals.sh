# The demo on a machine where something is in the way: it says what, within 5 s, and changes nothing.

demo_refusals() {
  taken_port && missing_tool
}

taken_port() {
  local holder port status=0
  coproc HOLDER { python3 -c 'import socket, sys
with socket.socket() as s:
    s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1], flush=True); sys.stdin.read()'; }
  holder=$HOLDER_PID
  read -r port <&"${HOLDER[0]}"
  refuses "port $port" FIELDWATCH_KAFKA_PORT="$port" || status=1
  kill "$holder" 2>/dev/null || true
  return $status
}

# A PATH of everything but cargo.
missing_tool() {
  local folder=$STAGE_LOGS/path-without-cargo program
  rm -rf "$folder" && mkdir -p "$folder"
  for program in /usr/local/bin/* /usr/bin/* /bin/* /usr/sbin/* /sbin/*; do
    [[ ${program##*/} == cargo || -e $folder/${program##*/} ]] || ln -s "$program" "$folder/"
  done
  refuses 'cargo is missing' PATH="$folder"
}

# refuses WORDS VARIABLE=VALUE: the demo fails within 5 s and says so.
refuses() {
  local words=$1 output status=0
  shift
  output=$(env -u FIELDWATCH_PORT_OFFSET FIELDWATCH_INSTANCE=refused FIELDWATCH_PORT_OFFSET=12000 "$@" timeout 5 "$SCRIPTS/demo" </dev/null 2>&1) || status=$?
  echo "$output"
  if ((status == 0 || status == 124)); then echo "the demo ended with $status" && return 1; fi
  [[ $output == *"$words"* ]] || { echo "nothing said of: $words" && return 1; }
  [[ ! -d $ROOT/target/infra/refused ]] || { echo "something was changed" && return 1; }
}
