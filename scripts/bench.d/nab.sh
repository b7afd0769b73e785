# the detector's own binary on the public anomaly corpus: NAB at threshold 0.8 and at the best one, VUS-PR, opened where nothing is wrong
# without infrastructure

# bench [--corpus DIR] [--scorer FILE] [--train [--seeds N]]: the built-in model; with --train also weights trained without the
# tested category. Corpus and scorer may come from FIELDWATCH_NAB and FIELDWATCH_NAB_SCORER instead.
bench() {
  local corpus=${FIELDWATCH_NAB:-} scorer=${FIELDWATCH_NAB_SCORER:-} venv=$ROOT/target/bench/nab-venv arguments=()
  while (($#)); do
    case $1 in
      --corpus) corpus=$2 && shift ;;
      --scorer) scorer=$2 && shift ;;
      --quick | --profile) ;;
      *) arguments+=("$1") ;;
    esac
    shift
  done
  if [[ ! -f $corpus/windows.json || ! -f $scorer ]]; then
    echo "skipped: the corpus is no part of the project. Give --corpus DIR (with windows.json) and --scorer FILE, or FIELDWATCH_NAB and FIELDWATCH_NAB_SCORER."
    return 0
  fi
  build anomaly-detector
  (fetch native) || return
  export ANOMALY_DETECTOR__MODEL__RUNTIME_LIBRARY=$ONNXRUNTIME_LIBRARY
  local model=$ROOT/services/anomaly-detector/model
  if [[ ! -x $venv/bin/python ]]; then
    python3 -m venv "$venv" && "$venv/bin/pip" -q install -r "$model/requirements.txt"
  fi
  local found=$ROOT/target/bench/nab
  mkdir -p "$found"
  "$BENCHES/report.py" --machine "$found/machine.json"
  "$venv/bin/python" "$model/evaluate.py" --corpus "$corpus" --scorer "$scorer" --detector "$BIN/anomaly-detector" \
    --out "$found/found.json" "${arguments[@]}"
  "$BENCHES/nab.py" "$found/found.json" "$found/machine.json" "$ROOT/target/bench/nab.json"
}
