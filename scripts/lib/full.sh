# What `test --full` adds: what needs an engine, a Kubernetes API or a peer. What is missing is listed, not passed over.

source "$SCRIPTS/lib/images.sh"

full() {
  local wanted=$1
  if [[ -z $wanted || $wanted == images ]]; then
    if engine_runs; then stage images build_images; else skip images "no container engine answers (docker info)"; fi
  fi
  if [[ -z $wanted || $wanted == bridge-faults ]]; then stage bridge-faults bridge_faults; fi
}

# 20 kills of the bridge for each seed and 5 of its broker; the ordinary run has fewer.
bridge_faults() {
  (
    scripts_infra up --yes
    eval "$(scripts_infra env)"
    FIELDWATCH_TEST_FULL=1 cargo test --locked -p mqtt-bridge --test it faults -- --nocapture
  )
}
