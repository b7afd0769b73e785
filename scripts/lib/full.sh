# What `test --full` adds: what needs an engine, a Kubernetes API or a peer. What is missing is listed, not passed over.

source "$SCRIPTS/lib/images.sh"

full() {
  local wanted=$1
  if [[ -z $wanted || $wanted == chaos ]]; then stage chaos chaos_seeds; fi
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

# The same tests as in the ordinary run: more seeds, more readings, and optimised, as the counts are large.
chaos_seeds() {
  scripts_infra up --yes || return
  (
    eval "$(scripts_infra env)"
    FIELDWATCH_TEST_SEEDS=200 FIELDWATCH_TEST_READINGS=100000 cargo test -p temperature-alert --release --test it --locked chaos:: -- --nocapture
  )
}
