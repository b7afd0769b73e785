# Definitions of the custom resources that k8s/ uses, from releases of those who define them: as they are for an API server,
# and as JSON schemas that refuse unknown fields for kubeconform. Go's modules are held against its checksum database.

STRIMZI_VERSION=1.2.0
YQ_VERSION=v4.54.3
# Module, and the files in it.
DEFINITIONS='
github.com/kedacore/keda/v2@v2.20.2                                config/crd/bases/keda.sh_scaledobjects.yaml
github.com/kedacore/keda/v2@v2.20.2                                config/crd/bases/keda.sh_triggerauthentications.yaml
github.com/prometheus-operator/prometheus-operator@v0.85.0         example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml
github.com/prometheus-operator/prometheus-operator@v0.85.0         example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml
github.com/external-secrets/external-secrets@v1.3.2                config/crds/bases/external-secrets.io_externalsecrets.yaml'

# Prints a folder with definitions/*.yaml and schemas/*.json.
custom_resources() {
  local folder staging status=0
  folder=$CACHE/custom-resources-$(cksum <<<"$STRIMZI_VERSION$DEFINITIONS" | cut -d' ' -f1)
  if [[ ! -d $folder ]]; then
    mkdir -p "$CACHE"
    staging=$(mktemp -d "$CACHE/.custom-resources.XXXXXX")
    (make_custom_resources "$staging") >&2 || status=1
    # Another run may have been first: its folder is the same.
    if ((status == 0)); then mv -T "$staging/made" "$folder" 2>/dev/null || [[ -d $folder ]] || status=1; fi
    rm -rf "$staging"
  fi
  echo "$folder"
  return $status
}

make_custom_resources() {
  local staging=$1 made=$1/made
  mkdir -p "$made/definitions" "$made/schemas"
  fetch_definitions "$made/definitions" || return 1
  make_strimzi_definitions "$staging" "$made/definitions" || return 1
  yq_program >/dev/null || return 1
  for file in "$made"/definitions/*.yaml; do
    "$(yq_program)" -o json . "$file" | make_schemas "$made/schemas" || return 1
  done
}

fetch_definitions() {
  local module file folder
  command -v go >/dev/null || { fail "definitions of custom resources are Go modules, and there is no Go to fetch them with"; return 1; }
  while read -r module file; do
    [[ -n $module ]] || continue
    folder=$(go mod download -json "$module" | sed -nE 's/^\t"Dir": "(.*)",?$/\1/p') && [[ -n $folder ]] || return 1
    install -m 644 -t "$1" "$folder/$file" || return 1
  done <<<"$DEFINITIONS"
}

# Strimzi's are generated from the classes of its API.
make_strimzi_definitions() {
  local staging=$1 target=$2 jars=$1/jars/strimzi java part model=io.strimzi.api.kafka.model
  for part in api crd-generator; do
    mvn -B -q -Dstyle.color=never -f "$SCRIPTS/infra.d/pom.xml" -DoutputDirectory="$jars" \
      -Dartifact="io.strimzi:$part:$STRIMZI_VERSION" dependency:copy || return 1
  done
  verify "$staging/jars" strimzi/
  find_java 21 >/dev/null || fetch native
  java=$(find_java 21) || return 1
  "$java" -cp "$jars/api-$STRIMZI_VERSION.jar:$jars/crd-generator-$STRIMZI_VERSION.jar" io.strimzi.crdgenerator.CrdGenerator \
    --target-kube 1.16+ --crd-api-version v1 --api-versions v1 --storage-version v1 --yaml \
    "$model.kafka.Kafka=$target/kafka.yaml" "$model.topic.KafkaTopic=$target/kafkatopic.yaml" \
    "$model.user.KafkaUser=$target/kafkauser.yaml" "$model.nodepool.KafkaNodePool=$target/kafkanodepool.yaml"
}

# make_schemas FOLDER: of the definition on standard input, a schema for each version, named as kubeconform asks for it.
make_schemas() {
  python3 -c '
import json, pathlib, sys

def strict(schema):
    if isinstance(schema, list):
        for part in schema:
            strict(part)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" and "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    if schema.pop("nullable", False) is True and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    if schema.pop("x-kubernetes-int-or-string", False) is True:
        schema["type"] = ["integer", "string"]
    for part in list(schema.values()):
        strict(part)

spec = json.load(sys.stdin)["spec"]
for version in spec["versions"]:
    schema = version["schema"]["openAPIV3Schema"]
    schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    strict(schema)
    schema["properties"]["metadata"].pop("additionalProperties", None)
    group = spec["group"].split(".")[0]
    name = "-".join([spec["names"]["kind"].lower(), group, version["name"]])
    pathlib.Path(sys.argv[1], f"{name}.json").write_text(json.dumps(schema))
' "$1"
}

yq_program() {
  local tool=$TOOLS/yq-$YQ_VERSION
  build_go_tool "$tool" "github.com/mikefarah/yq/v4@$YQ_VERSION" && echo "$tool"
}
