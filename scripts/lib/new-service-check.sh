# scripts/new-service in a copy of this tree: what it makes builds, passes its tests and lints, fits Kubernetes and compose, and runs.

check_new_service() {
  local copy name=sample-watch
  copy=$(mktemp -d "${TMPDIR:-/tmp}/fieldwatch-new-service.XXXXXX")
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$copy'" RETURN
  (cd "$ROOT" && git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -T - -c) | tar -x -C "$copy"
  # Programs of the same names: they must not take the place of this tree's.
  export CARGO_TARGET_DIR=$ROOT/target/new-service
  scripts_infra up --yes || return 1
  (
    cd "$copy"
    eval "$(scripts_infra env)"
    scripts/new-service "$name" || exit 1
    cargo fmt -p "$name" --check || exit 1
    cargo clippy -p "$name" --all-targets -- -D warnings || exit 1
    cargo test -p "$name" || exit 1
    cargo test -p fieldctl --lib strimzi || exit 1
    # Every script of the copy takes the copy's own folders.
    env -u FIELDWATCH_DATA -u FIELDWATCH_INSTANCE -u FIELDWATCH_PORT_OFFSET scripts/dev "$name" --check || exit 1
    bash -c 'source scripts/lib/suite.sh; source scripts/lib/kubernetes.sh; check_manifests && check_compose'
  )
}
