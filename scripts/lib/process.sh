# Background processes that outlive the shell. A pid file holds the pid and the start time of the process,
# so a recycled pid is never taken for ours, and nothing that we did not start is ever stopped.

# The kernel's start time of a process, in clock ticks since boot; fails when it is gone or a zombie.
start_time() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  # shellcheck disable=SC2086 # the fields after the command name are meant to be split
  set -- ${stat##*) }
  [[ $1 != Z ]] && echo "${20}"
}

# start_process NAME COMMAND...: detached, output to the log of that name; the previous log is kept once.
start_process() {
  local name=$1 pid
  shift
  mkdir -p "$LOGS" "$PIDS"
  [[ ! -s $LOGS/$name.log ]] || mv "$LOGS/$name.log" "$LOGS/$name.log.1"
  setsid nohup "$@" >"$LOGS/$name.log" 2>&1 </dev/null 7>&- 8>&- 9>&- &
  pid=$!
  echo "$pid $(start_time "$pid" || echo gone)" >"$PIDS/$name"
}

# Prints the pid when the process of that name is ours and alive.
process_pid() {
  local pid started
  [[ -f $PIDS/$1 ]] || return 1
  read -r pid started <"$PIDS/$1"
  [[ $(start_time "$pid") == "$started" ]] && echo "$pid"
}

is_running() { process_pid "$1" >/dev/null; }

# stop_process NAME SECONDS [SIGNAL]: asks, waits, and only then kills.
stop_process() {
  local name=$1 seconds=$2 signal=${3:-TERM} pid deadline
  if pid=$(process_pid "$name"); then
    kill -s "$signal" "$pid" 2>/dev/null || true
    deadline=$((SECONDS + seconds))
    while is_running "$name"; do
      if ((SECONDS >= deadline)); then
        warn "$name did not stop within $seconds s: killed"
        kill -s KILL "$pid" 2>/dev/null || true
        sleep 0.2
        break
      fi
      sleep 0.1
    done
  fi
  rm -f "$PIDS/$name"
}

# Ends the background jobs of this script; what start_process started is not among them.
end_jobs() {
  local job
  for job in $(jobs -p); do kill "$job" 2>/dev/null || true; done
  wait
}

# tail_log NAME: the end of its log, for a failure message; in one piece, because servers start side by side.
tail_log() {
  local text
  text=$(tail -n 25 "$LOGS/$1.log" 2>/dev/null) || text='(no log)'
  say "--- the last lines of $LOGS/$1.log"$'\n'"${text:-(empty)}"$'\n---'
}

# wait_until_ready NAME SECONDS COMMAND...: until COMMAND succeeds; fails at once when the process ends.
wait_until_ready() {
  local name=$1 seconds=$2 deadline
  deadline=$((SECONDS + seconds))
  shift 2
  until "$@"; do
    if ! is_running "$name"; then
      fail "$name ended while starting"$'\n'"$(tail_log "$name" 2>&1)"
      return 1
    elif ((SECONDS >= deadline)); then
      fail "$name is not ready after $seconds s"$'\n'"$(tail_log "$name" 2>&1)"
      return 1
    fi
    sleep 0.2
  done
}

# lock_instance: one script at a time changes an instance (a lock on descriptor 9, never inherited by what is started).
# A lock on a file that a purge deleted meanwhile is worth nothing, so it is taken again.
lock_instance() {
  while true; do
    mkdir -p "$DATA"
    exec 9>"$DATA/lock"
    flock --wait 300 9 || die "another script has been changing instance $INSTANCE for 300 s"
    [[ ! $DATA/lock -ef /dev/fd/9 ]] || return 0
  done
}

unlock_instance() { exec 9>&-; }
