# The stages of a test run: each timed, its output kept, its tests counted; the last line is the sum.

STAGE_LOGS=$ROOT/target/test-logs
declare -A STAGE_RESULT
STAGES=() SKIPPED=()
TESTS_PASSED=0 TESTS_FAILED=0

# stage NAME COMMAND...: runs it; a failure is remembered, not fatal.
stage() {
  local name=$1 started=$SECONDS log=$STAGE_LOGS/$1.log
  shift
  mkdir -p "$STAGE_LOGS"
  STAGES+=("$name")
  title "== $name"
  if "$@" >"$log" 2>&1; then
    STAGE_RESULT[$name]=ok
  else
    STAGE_RESULT[$name]=FAIL
    tail -n 60 "$log" >&2
  fi
  count_tests "$log"
  say "   ${STAGE_RESULT[$name]}, $((SECONDS - started)) s"
}

passed() { [[ ${STAGE_RESULT[$1]} == ok ]]; }

# skip NAME REASON: something promised that cannot run on this machine.
skip() {
  SKIPPED+=("$1: $2")
  warn "$1 cannot run here: $2"
}

# Adds up what cargo test printed; a stage without tests of its own counts as one.
count_tests() {
  local ran failed
  read -r ran failed < <(awk '/^test result:/ {p += $4; f += $6} END {print p + 0, f + 0}' "$1")
  if ((ran + failed == 0)); then
    if passed "${STAGES[-1]}"; then ran=1; else failed=1; fi
  elif ! passed "${STAGES[-1]}" && ((failed == 0)); then
    failed=1
  fi
  ((TESTS_PASSED += ran, TESTS_FAILED += failed)) || true
}

# Prints every stage and the sum; exits 1 on a failure, 3 when something could not run.
summary() {
  local name
  title "== summary"
  for name in "${STAGES[@]}"; do say "  $(printf '%-20s' "$name") ${STAGE_RESULT[$name]}"; done
  for name in "${SKIPPED[@]}"; do say "  not run: $name"; done
  echo "$TESTS_PASSED passed, $TESTS_FAILED failed, ${#SKIPPED[@]} skipped"
  ((TESTS_FAILED == 0)) || exit 1
  ((${#SKIPPED[@]} == 0)) || exit 3
}
