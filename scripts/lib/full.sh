# What `scripts/test --full [NAME]` runs besides: every count that was promised, containers, peers.

FULL_PARTS='chaos nemesis fuzz mutants outbox-model debezium bridge-faults bridge-memory command-kills notifier-kills arm64 compose kubernetes telemetry secured new-service backup upgrade release'

# full_NAME runs a part; lacks_NAME, where there is one, prints what the machine lacks for it.
full() {
  local wanted=$1 name known=0 lacks
  for name in $FULL_PARTS; do
    if [[ -n $wanted && $wanted != "$name" ]]; then continue; fi
    known=1
    if declare -F "lacks_$name" >/dev/null; then
      lacks=$("lacks_$name")
      if [[ -n $lacks ]]; then
        skip "$name" "$lacks"
        continue
      fi
    fi
    stage "$name" "full_${name//-/_}"
  done
  ((known)) || die_usage "test: --full knows: $FULL_PARTS"
}

# docker-compose.yml from nothing, with images built here.
lacks_compose() { source "$SCRIPTS/lib/images.sh" && source "$SCRIPTS/lib/engine.sh" && engine_lacks; }
full_compose() { ASSUME_YES=1 bash "$SCRIPTS/lib/compose-check.sh"; }

# What a release is made of.
full_release() { "$SCRIPTS/release" --check --yes; }

# What watches the suite: a real collector and a real Prometheus, the dashboards' queries, faults and their alerts.
full_telemetry() { ASSUME_YES=1 FIELDWATCH_PROFILE=dev bash "$SCRIPTS/lib/telemetry-live.sh"; }

# What scripts/new-service makes, from a copy of the tree.
full_new_service() {
  source "$SCRIPTS/lib/new-service-check.sh"
  check_new_service
}

# The demo with TLS, a name and a password on every connection, and with the rights of schemas/topics.yaml and no more.
full_secured() { FIELDWATCH_SECURED=1 FIELDWATCH_PROFILE=dev "$SCRIPTS/demo" --yes --check; }

# The backup that k8s/README.md describes, taken under load and restored.
full_backup() { ASSUME_YES=1 FIELDWATCH_PROFILE=dev bash "$SCRIPTS/lib/backup-check.sh"; }

# The last release, this, the last again, under load.
lacks_upgrade() { source "$SCRIPTS/lib/upgrade.sh" && upgrade_lacks; }
full_upgrade() { ASSUME_YES=1 FIELDWATCH_PROFILE=dev bash "$SCRIPTS/lib/upgrade-check.sh"; }

lacks_arm64() { source "$SCRIPTS/lib/arm64.sh" && arm64_lacks; }
full_arm64() { source "$SCRIPTS/lib/arm64.sh" && check_arm64; }

# Every overlay as a real API server takes it, and does not without a securityContext.
api_server() { source "$SCRIPTS/lib/kubernetes.sh" && source "$SCRIPTS/lib/kubernetes-server.sh"; }
lacks_kubernetes() { api_server && api_server_lacks; }
full_kubernetes() { api_server && check_api_server; }

# seeded ENVIRONMENT... -- CARGO_ARGUMENT...: tests of the ordinary run with more seeds.
seeded() {
  local environment=()
  while [[ $1 != -- ]]; do environment+=("$1") && shift; done
  shift
  scripts_infra up --yes || return
  (
    eval "$(scripts_infra env)"
    env "${environment[@]}" cargo test --locked "$@" -- --nocapture
  )
}

# Killed, paused and restarted replicas; optimised, as the counts are large.
full_chaos() {
  (cargo build --release --locked -p temperature-alert) &&
    seeded FIELDWATCH_TEST_SEEDS=200 FIELDWATCH_TEST_READINGS=100000 -- -p temperature-alert --release --test it chaos::
}

# Every scenario of scripts/chaos for a short while, with a new seed.
full_nemesis() {
  scripts_infra down || return
  env -u FIELDWATCH_INSTANCE -u FIELDWATCH_PORT_OFFSET -u FIELDWATCH_POSTGRES_FSYNC FIELDWATCH_PROFILE=dev \
    "$SCRIPTS/chaos" --scenario each --scenario all --seconds 30
}

# What reads bytes from outside, longer than in the ordinary run.
full_fuzz() {
  (cd "$ROOT" && FIELDWATCH_FUZZ_SECONDS=30 cargo test --workspace --locked fuzz -- --nocapture)
}

# What decides alerts, and what the runtime does without a broker, changed one line at a time: a test has to notice each, or
# .cargo/mutants.toml says why none can. Three hours.
lacks_mutants() { cargo mutants --version >/dev/null 2>&1 || echo "cargo-mutants is not there: cargo install cargo-mutants --locked"; }
full_mutants() {
  local alert=services/temperature-alert/src stream=shared/stream/src status=0
  notices temperature-alert "$alert/domain/**" "$alert/language/**" \
    -- --lib --test it -- domain:: language:: formats:: refusals:: rules::every says:: || status=1
  notices fieldwatch-stream "$stream"/{failure,watermarks,introductions,record,decode}.rs "$stream/spool/**" \
    -- --lib -- failure:: watermarks:: introductions:: record:: decode:: spool:: || status=1
  # Fewer cases of each property are enough, and there is no broker.
  PROPTEST_CASES=32 FIELDWATCH__KAFKA__BROKERS=127.0.0.1:1 FIELDWATCH__REGISTRY__URL=http://127.0.0.1:1 \
    notices fieldwatch-stream "$stream"/operator/{driver,keys,outputs,partition,progress,state,wave}.rs \
    -- --lib --test it -- outputs:: partition:: progress:: state:: driver:: || status=1
  return "$status"
}

# notices PACKAGE FILE... -- ARGUMENT...: no line of those files changes unseen by `cargo test ARGUMENT...`.
notices() {
  local package=$1 files=() status=0
  shift
  while [[ $1 != -- ]]; do files+=(--file "$1") && shift; done
  # It tells by 3 that some changes were noticed only by a test that did not end.
  (cd "$ROOT" && cargo mutants --package "$package" "${files[@]}" --timeout 30 --output target/mutants "$@") || status=$?
  ((status == 0 || status == 3))
}

# Interleaved transactions, killed and cut-off relays, clocks that differ.
full_outbox_model() { seeded FIELDWATCH_TEST_SEEDS=500 -- -p outbox-relay --test it model::; }

# The outbox as Debezium's event router publishes it.
full_debezium() {
  scripts_infra down || return
  FIELDWATCH_POSTGRES_WAL_LEVEL=logical scripts_infra up --yes || return
  (
    eval "$(scripts_infra env)"
    debezium_environment || exit
    cargo test --locked -p outbox-relay --test it -- --ignored --nocapture debezium::
  )
}

# 20 kills of the bridge for each seed and 5 of its broker.
full_bridge_faults() { seeded FIELDWATCH_TEST_FULL=1 -- -p mqtt-bridge --test it faults; }

# Ten minutes with Kafka away and the spool full, one with Kafka slow.
full_bridge_memory() { seeded FIELDWATCH_TEST_FULL=1 -- -p mqtt-bridge --test it memory; }

# Commands from the API to devices, while all between them are killed, paused and restarted.
full_command_kills() { seeded FIELDWATCH_TEST_SEEDS=100 -- -p device-commands --test it chaos::; }

# 10,000 alerts while one of two notifiers is killed again and again.
full_notifier_kills() { seeded FIELDWATCH_TEST_ALERTS=10000 -- -p notifier --test it kills::; }
