# What `test --full` adds: what needs an engine, a Kubernetes API or a peer. What is missing is listed, not passed over.

source "$SCRIPTS/lib/images.sh"

full() {
  local wanted=$1
  if [[ -z $wanted || $wanted == images ]]; then
    if engine_runs; then stage images build_images; else skip images "no container engine answers (docker info)"; fi
  fi
}
