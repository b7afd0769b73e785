# Every overlay against a real API server: etcd from Debian, kube-apiserver from its Go module, no nodes. A server-side dry run
# goes through admission too: Pod Security, defaults, the definitions of the custom resources.

KUBE_APISERVER_VERSION=1.35.4
KUBE_APISERVER=$TOOLS/kube-apiserver-$KUBE_APISERVER_VERSION
ETCD_URL=http://127.0.0.1:$((2379 + ${FIELDWATCH_PORT_OFFSET:-0}))
ETCD_PEER_URL=http://127.0.0.1:$((2380 + ${FIELDWATCH_PORT_OFFSET:-0}))
KUBE_PORT=$((6443 + ${FIELDWATCH_PORT_OFFSET:-0}))

# Prints what the machine lacks; nothing when all is there.
api_server_lacks() {
  local program
  for program in kubectl etcd openssl; do
    command -v "$program" >/dev/null || { echo "$program is not there${program/#etcd/ (Debian: etcd-server)}" && return; }
  done
  [[ -x $KUBE_APISERVER ]] || command -v go >/dev/null || echo "no Go to build kube-apiserver with"
}

check_api_server() {
  local custom overlay name tried status=0
  build_kube_apiserver && custom=$(custom_resources) || return 1
  trap 'api_server_down' RETURN
  api_server_up || return 1
  kube apply --server-side -f "$custom/definitions" >/dev/null || return 1
  kube wait --for condition=established --timeout=60s crd --all >/dev/null || return 1
  # A namespace has to be there before anything in it can be tried.
  kube apply -f "$ROOT/k8s/base/namespace.yaml" || return 1
  for overlay in "$ROOT"/k8s/overlays/*/; do
    name=$(basename "$overlay")
    if tried=$(kubectl kustomize "$overlay" | dry_run 2>&1); then
      echo "$name: the API server takes all $(wc -l <<<"$tried") objects"
    else
      fail "$name: the API server refuses: $(tail -n 5 <<<"$tried")" && status=1
    fi
    if tried=$(kubectl kustomize "$overlay" | without_security_context | dry_run 2>&1); then
      fail "$name: the API server takes a pod without its securityContext" && status=1
    else
      echo "$name without one securityContext: $(grep -o 'would violate PodSecurity.*' <<<"$tried" | head -n 1 | cut -c 1-200)"
      grep -q 'would violate PodSecurity' <<<"$tried" || status=1
    fi
  done
  return $status
}

# Pod Security only warns of what makes pods: here a warning is a refusal.
dry_run() { kube apply --server-side --dry-run=server --warnings-as-errors -f -; }

without_security_context() {
  "$(yq_program)" '(select(.kind == "Deployment" and .metadata.name == "notifier").spec.template.spec.containers[0]) |= del(.securityContext)' -
}

kube() { kubectl --kubeconfig "$DATA/kubernetes/kubeconfig" "$@"; }

api_server_up() {
  local folder=$DATA/kubernetes token
  rm -rf "$folder"
  mkdir -p "$folder"
  openssl genrsa -out "$folder/accounts.key" 2048 2>/dev/null && openssl rsa -in "$folder/accounts.key" -pubout -out "$folder/accounts.pub" 2>/dev/null
  token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  (umask 077 && echo "$token,admin,admin,system:masters" >"$folder/tokens.csv")
  cat >"$folder/admission.yaml" <<'YAML'
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
  - name: PodSecurity
    configuration:
      apiVersion: pod-security.admission.config.k8s.io/v1
      kind: PodSecurityConfiguration
      defaults: { enforce: restricted, enforce-version: latest, audit: restricted, warn: restricted }
YAML
  cat >"$folder/kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{ name: here, cluster: { server: "https://127.0.0.1:$KUBE_PORT", insecure-skip-tls-verify: true } }]
users: [{ name: admin, user: { token: "$token" } }]
contexts: [{ name: here, context: { cluster: here, user: admin } }]
current-context: here
YAML
  start_process etcd env ETCD_UNSUPPORTED_ARCH="$(uname -m | sed s/aarch64/arm64/)" etcd --data-dir "$folder/etcd" --log-level warn \
    --listen-client-urls "$ETCD_URL" --advertise-client-urls "$ETCD_URL" --listen-peer-urls "$ETCD_PEER_URL"
  start_process kube-apiserver "$KUBE_APISERVER" --etcd-servers="$ETCD_URL" --bind-address=127.0.0.1 --advertise-address=127.0.0.1 \
    --secure-port="$KUBE_PORT" --cert-dir="$folder/serving" --service-cluster-ip-range=10.0.0.0/24 --token-auth-file="$folder/tokens.csv" \
    --authorization-mode=RBAC --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$folder/accounts.pub" \
    --service-account-signing-key-file="$folder/accounts.key" --admission-control-config-file="$folder/admission.yaml" \
    --disable-admission-plugins=ServiceAccount --allow-privileged=false
  wait_until_ready kube-apiserver 120 kube get --raw /readyz >/dev/null 2>&1
}

api_server_down() {
  stop_process kube-apiserver 20
  stop_process etcd 10
  rm -rf "$DATA/kubernetes"
}

# Its go.mod names its own parts by folder: a module that uses it has to name each by its release.
build_kube_apiserver() {
  [[ ! -x $KUBE_APISERVER ]] || return 0
  mkdir -p "$TOOLS"
  (
    flock 5
    [[ ! -x $KUBE_APISERVER ]] || exit 0
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    module=k8s.io/kubernetes@v$KUBE_APISERVER_VERSION
    cd "$folder"
    its=$(go mod download -json "$module" | sed -nE 's/^\t"GoMod": "(.*)",?$/\1/p') && [[ -n $its ]] || exit 1
    {
      printf 'module tool\n\ngo 1.26.0\n\ngodebug default=go1.25\n\nrequire %s\n\n' "${module/@/ }"
      sed -nE "s#^\s*(k8s\.io/\S+) => \./staging.*#replace \1 => \1 v0.${KUBE_APISERVER_VERSION#*.}#p" "$its"
    } >go.mod
    GOFLAGS=-mod=mod go get -tool "k8s.io/kubernetes/cmd/kube-apiserver@v$KUBE_APISERVER_VERSION" &&
      CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$KUBE_APISERVER.new" k8s.io/kubernetes/cmd/kube-apiserver &&
      mv "$KUBE_APISERVER.new" "$KUBE_APISERVER"
  ) 5>"$TOOLS/.lock" >&2
}
