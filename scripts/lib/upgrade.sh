# The last release, built beside this tree.

# Until there is a release: a commit that stands for one.
LAST_RELEASE=95f7744
LAST_RELEASE_FOLDER=$ROOT/target/upgrade
LAST_RELEASE_BIN=$LAST_RELEASE_FOLDER/debug

upgrade_lacks() { git -C "$ROOT" cat-file -e "$LAST_RELEASE^{commit}" 2>/dev/null || echo "the history here does not reach back to the last release, $LAST_RELEASE"; }

# Its files without its history, so that nothing of this tree's git is touched.
build_last_release() {
  local source=$LAST_RELEASE_FOLDER/source
  if [[ ! -f $source/.commit || $(<"$source/.commit") != "$LAST_RELEASE" ]]; then
    rm -rf "$source" && mkdir -p "$source" || return 1
    git -C "$ROOT" archive "$LAST_RELEASE" | tar -x -C "$source" || return 1
    echo "$LAST_RELEASE" >"$source/.commit"
  fi
  say "building the last release"
  (cd "$source" && CARGO_TARGET_DIR=$LAST_RELEASE_FOLDER cargo build --workspace --locked --bins >&2)
}

# A service may be newer.
last_release_has() { [[ -x $LAST_RELEASE_BIN/$1 ]]; }
