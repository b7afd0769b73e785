# What `test --full` adds: what needs an engine, a Kubernetes API or a peer. What is missing is listed, not passed over.

source "$SCRIPTS/lib/images.sh"

full() {
  local wanted=$1
  if [[ -z $wanted || $wanted == images ]]; then
    if engine_runs; then stage images build_images; else skip images "no container engine answers (docker info)"; fi
  fi
  if [[ -z $wanted || $wanted == outbox-model ]]; then stage outbox-model outbox_model; fi
}

# As many seeds as were promised: interleaved transactions, killed and cut-off relays, clocks that differ.
outbox_model() {
  scripts_infra up --yes
  (
    eval "$(scripts_infra env)"
    FIELDWATCH_TEST_SEEDS=500 cargo test --locked -p outbox-relay --test it model::
  )
}
