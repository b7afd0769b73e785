# Ports on loopback: is one free, and if not, who has it.

# Answers within a second, without any tool beyond bash.
port_is_taken() { timeout 1 bash -c "exec 3<>/dev/tcp/127.0.0.1/$1" 2>/dev/null; }

# "mosquitto (pid 812)", or nothing when it cannot be told.
port_holder() {
  command -v ss >/dev/null || return 0
  ss -ltnpH "sport = :$1" 2>/dev/null | sed -nE 's/.*users:\(\("([^"]+)",pid=([0-9]+).*/\1 (pid \2)/p' | head -1
}

# require_free_ports NAME...: names every taken port, what it is for, and the variable that moves it.
require_free_ports() {
  local name holder taken=0
  for name in "$@"; do
    port_is_taken "${PORT[$name]}" || continue
    holder=$(port_holder "${PORT[$name]}")
    fail "port ${PORT[$name]}, for ${PURPOSE[$name]}, is taken${holder:+ by $holder}; set $(port_variable "$name") to another one, or FIELDWATCH_PORT_OFFSET to move all"
    taken=1
  done
  return $taken
}

# claim_port_offset FIRST: sets FIELDWATCH_PORT_OFFSET to one whose ports are all free, and keeps it from other scripts of
# this kind for as long as this one lives (a lock on descriptor 8). A port that was chosen by its variable stays as it is.
claim_port_offset() {
  local offset name variable free claims=${TMPDIR:-/tmp}/fieldwatch-ports-$EUID
  mkdir -p "$claims"
  for ((offset = $1; offset < $1 + 20000; offset += 100)); do
    exec 8>"$claims/$offset"
    flock --nonblock 8 || continue
    FIELDWATCH_PORT_OFFSET=$offset
    set_ports
    free=1
    for name in "${!PORT[@]}"; do
      variable=$(port_variable "$name")
      if [[ -z ${!variable:-} ]] && port_is_taken "${PORT[$name]}"; then
        free=0
        break
      fi
    done
    if ((free)); then
      export FIELDWATCH_PORT_OFFSET
      return
    fi
  done
  die "no free set of ports was found from offset $1 on"
}
