# Checks of k8s/components/observability: rules and their tests, the queries of the dashboards as Prometheus parses them, and
# that what is made of something is current. promtool comes with Debian's prometheus.

OBSERVABILITY=$ROOT/k8s/components/observability

check_observability() {
  local status=0
  require_packages prometheus
  promtool check rules "$OBSERVABILITY/rules.yaml" || status=1
  promtool check config "$OBSERVABILITY/prometheus.yaml" || status=1
  promtool test rules "$OBSERVABILITY/rules.test.yaml" || status=1
  every_alert_is_tested_and_explained || status=1
  "$OBSERVABILITY/dashboards.py" --check || status=1
  # A file that promtool reads: the same parser as Prometheus'.
  promtool check rules <("$OBSERVABILITY/dashboards.py" --rules) || status=1
  only_declared_metrics || status=1
  prometheus_rule | cmp - "$OBSERVABILITY/prometheusrule.yaml" || { fail "prometheusrule.yaml is not rules.yaml: scripts/new-manifests makes it" && status=1; }
  return $status
}

every_alert_is_tested_and_explained() {
  local alert status=0
  while read -r alert; do
    grep -q "alertname: $alert\b" "$OBSERVABILITY/rules.test.yaml" || { fail "$alert has no test" && status=1; }
    grep -qx "## $alert" "$OBSERVABILITY/RUNBOOK.md" || { fail "$alert is not in RUNBOOK.md" && status=1; }
    grep -q "runbook_url: RUNBOOK.md#${alert,,}$" "$OBSERVABILITY/rules.yaml" || { fail "$alert names no line of RUNBOOK.md" && status=1; }
  done < <(sed -nE 's/^ *- alert: //p' "$OBSERVABILITY/rules.yaml")
  return $status
}

# Names as they are exposed, the suffixes of histograms included.
only_declared_metrics() {
  local name status=0
  while read -r name; do
    grep -q "^| \`$name\`" "$ROOT/shared/telemetry/METRICS.md" ||
      grep -q "^| \`${name%_*}\` | histogram" "$ROOT/shared/telemetry/METRICS.md" ||
      { fail "no service has a metric $name" && status=1; }
  done < <(grep -ohE 'fieldwatch_[a-z_]+' "$OBSERVABILITY/rules.yaml" "$OBSERVABILITY/dashboards.py" | sort -u)
  return $status
}

# The rules as Prometheus' operator takes them.
prometheus_rule() {
  printf '# Made of rules.yaml by scripts/new-manifests.\napiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: fieldwatch\nspec:\n'
  sed -n '/^groups:/,$p' "$OBSERVABILITY/rules.yaml" | sed 's/^\(.\)/  \1/'
}
