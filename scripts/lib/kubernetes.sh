# Checks of k8s/: every overlay builds, and every object follows the schemas of a Kubernetes release, unknown fields refused.

KUBERNETES_SCHEMAS=1.37.0
KUBERNETES_RELEASE=1.35.0
source "$SCRIPTS/lib/images.sh"

check_manifests() {
  local kustomize kubeconform schemas folder
  kustomize=$(kustomize_program) && kubeconform=$TOOLS/kubeconform-v0.7.0 || return 3
  [[ -x $kubeconform ]] || build_go_tool "$kubeconform" github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0 || return 3
  schemas=$(kubernetes_schemas) || return 1
  for folder in "$ROOT"/k8s/base "$ROOT"/k8s/overlays/*/; do
    # shellcheck disable=SC2086 # a program and its first argument
    $kustomize "$folder" | "$kubeconform" -strict -summary -kubernetes-version "$KUBERNETES_RELEASE" \
      -schema-location "$schemas/{{.ResourceKind}}{{.KindSuffix}}.json" - || return 1
  done
}

kustomize_program() {
  local tool=$TOOLS/kustomize-v5.8.1
  if command -v kubectl >/dev/null; then
    echo kubectl kustomize
  else
    [[ -x $tool ]] || build_go_tool "$tool" sigs.k8s.io/kustomize/kustomize/v5@v5.8.1 || return 1
    echo "$tool build"
  fi
}

# The schemas a Python package carries, their references made local.
kubernetes_schemas() {
  local folder=$CACHE/kubernetes-schemas-$KUBERNETES_SCHEMAS staging
  if [[ ! -d $folder ]]; then
    staging=$(mktemp -d)
    python3 -m pip download --quiet --no-deps --disable-pip-version-check -d "$staging" "kubernetes-validate==$KUBERNETES_SCHEMAS" >&2 || return 1
    (cd "$staging" && unzip -q ./*.whl) || return 1
    mkdir -p "$staging/local"
    find "$staging" -path "*v$KUBERNETES_RELEASE-local-strict/*.json" -o -path '*v1.35*-local-strict/*.json' | while read -r file; do
      sed 's#"/api/_definitions.json\##"_definitions.json\##; s#"\$id": "https://kubernetes.io/api/[^"]*"#"$comment": ""#' "$file" >"$staging/local/$(basename "$file")"
    done
    mv "$staging/local" "$folder"
    rm -rf "$staging"
  fi
  echo "$folder"
}
