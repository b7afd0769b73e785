#!/usr/bin/env python3
"""Grafana dashboards from what follows: dashboards/NAME.json, one panel for each query or group of queries.

dashboards.py           writes them
dashboards.py --check   says which committed file is not what it would write
dashboards.py --rules   prints every query as a recording rule, for promtool to parse
dashboards.py --queries prints every query, as it is asked of a Prometheus
"""

import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).with_name("dashboards")
INTERVAL = "$__rate_interval"


def rate(metric, by, where=""):
    """Per second; a counter that was never counted is 0, not missing."""
    return f"sum by ({by}) (rate({metric}{{{where}}}[{INTERVAL}])) or vector(0)"


def quantile(share, metric, by, where=""):
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({metric}_bucket{{{where}}}[{INTERVAL}])))"


def service(name, *panels):
    """What every service shows, and its own."""
    job = f'job="{name}"'
    return [
        ("Up", "short", [("replicas", f"sum(up{{{job}}})")]),
        ("Taken and delivered", "ops", [("in {{topic}}", rate("fieldwatch_messages_in_total", "topic", job)), ("out {{topic}}", rate("fieldwatch_messages_out_total", "topic", job))]),
        ("Failures and dead letters", "ops", [("{{class}}", rate("fieldwatch_failures_total", "class", job)), ("dead letter: {{reason}}", rate("fieldwatch_dlq_records_total", "reason", job))]),
        *panels,
        ("CPU", "percentunit", [("{{instance}}", f"rate(fieldwatch_process_cpu_seconds_total{{{job}}}[{INTERVAL}])")]),
        ("Memory", "bytes", [("{{instance}}", f"fieldwatch_process_resident_memory_bytes{{{job}}}")]),
    ]


def operator(name):
    job = f'job="{name}"'
    return [
        ("Time of a turn", "s", [("p99 {{stage}}", quantile(0.99, "fieldwatch_processing_seconds", "stage", job)), ("p50 {{stage}}", quantile(0.5, "fieldwatch_processing_seconds", "stage", job))]),
        ("Behind", "s", [("{{topic}}", f"max by (topic) (fieldwatch_lag_seconds{{{job}}})")]),
        ("Devices in state", "short", [("{{stage}}", f"sum by (stage) (fieldwatch_state_keys{{{job}}})")]),
        ("Partitions owned and restoring", "short", [("{{topic}}", f"sum by (topic) (fieldwatch_assigned_partitions{{{job}}})"), ("restoring {{stage}}", f"sum by (stage) (fieldwatch_restoring_partitions{{{job}}})")]),
        ("Transactions", "ops", [("{{stage}} {{outcome}}", rate("fieldwatch_transactions_total", "stage, outcome", job))]),
        ("Late and repeated readings", "ops", [("late {{stage}}", rate("fieldwatch_late_readings_total", "stage", job)), ("repeated {{stage}}", rate("fieldwatch_duplicate_readings_total", "stage", job))]),
        ("Replayed at restores, and what replay would say now", "short", [("replayed {{stage}}", f"sum by (stage) (fieldwatch_replayed_records_total{{{job}}}) or vector(0)"), ("diverged {{stage}}", f"sum by (stage) (fieldwatch_replay_divergence_total{{{job}}}) or vector(0)")]),
    ]


# file: (title, panels); a panel is (title, unit, [(legend, query)]).
DASHBOARDS = {
    "suite": ("Suite", [
        ("Services up", "short", [("{{job}}", "sum by (job) (up)")]),
        ("Alerts", "short", [("{{alertname}}", 'sum by (alertname) (ALERTS{alertstate="firing"}) or vector(0)')]),
        ("Readings", "ops", [("readings", rate("fieldwatch_messages_out_total", "topic", 'job="mqtt-bridge", topic=~".*telemetry.readings.v1"'))]),
        ("Alerts and anomalies published", "ops", [("{{topic}}", rate("fieldwatch_messages_out_total", "topic", 'topic=~".*(alerts.temperature|anomalies).v1"'))]),
        ("Notifications", "ops", [("{{action}}", rate("fieldwatch_notifications_total", "action"))]),
        ("Age of a reading when it is in Kafka, and when it has been looked at", "s", [("p99 {{job}} {{from}}", quantile(0.99, "fieldwatch_end_to_end_seconds", "job, from"))]),
        ("Behind", "s", [("{{job}} {{topic}}", "max by (job, topic) (fieldwatch_lag_seconds)")]),
        ("Oldest row of the outbox", "s", [("oldest", "max(fieldwatch_outbox_oldest_seconds)")]),
        ("Failures", "ops", [("{{job}} {{class}}", rate("fieldwatch_failures_total", "job, class"))]),
        ("Memory", "bytes", [("{{job}} {{instance}}", "fieldwatch_process_resident_memory_bytes")]),
    ]),
    "mqtt-bridge": ("mqtt-bridge", service(
        "mqtt-bridge",
        ("Connected", "short", [("{{connection}}", "min by (connection) (fieldwatch_mqtt_connected)")]),
        ("Taken and not acknowledged", "short", [("messages", "sum(fieldwatch_mqtt_in_flight)")]),
        ("Bytes of it", "bytes", [("bytes", "sum(fieldwatch_mqtt_in_flight_bytes)")]),
        ("Age of a reading when Kafka has it", "s", [("p99 {{from}}", quantile(0.99, "fieldwatch_end_to_end_seconds", "from", 'job="mqtt-bridge"')), ("p50 {{from}}", quantile(0.5, "fieldwatch_end_to_end_seconds", "from", 'job="mqtt-bridge"'))]),
        ("Spool", "short", [("messages", "sum(fieldwatch_mqtt_spool_messages) or vector(0)"), ("full", "max(fieldwatch_mqtt_spool_full) or vector(0)"), ("in use", "max(fieldwatch_mqtt_spooling) or vector(0)")]),
        ("Spool on disk", "bytes", [("bytes", "sum(fieldwatch_mqtt_spool_bytes) or vector(0)")]),
        ("Oldest message in the spool", "s", [("age", "max(fieldwatch_mqtt_spool_age_seconds) or vector(0)")]),
        ("Given up: surplus of rubbish, QoS 0 beyond a full spool", "ops", [("surplus", f"sum(rate(fieldwatch_mqtt_rejects_sampled_out_total[{INTERVAL}])) or vector(0)"), ("QoS 0", f"sum(deriv(fieldwatch_mqtt_spool_dropped[{INTERVAL}])) or vector(0)")]),
        ("Commands given to the broker, and expired before that", "ops", [("{{outcome}}", rate("fieldwatch_mqtt_commands_total", "outcome"))]),
        ("Payloads put into the blob store", "ops", [("blobs", f"sum(rate(fieldwatch_mqtt_blobs_total[{INTERVAL}])) or vector(0)")]),
    )),
    "temperature-alert": ("temperature-alert", service(
        "temperature-alert",
        ("Rules in force", "short", [("rules", "max(fieldwatch_rules)"), ("refused", "max(fieldwatch_rules_refused) or vector(0)")]),
        *operator("temperature-alert"),
    )),
    "device-commands": ("device-commands", service(
        "device-commands",
        ("What became of commands", "ops", [("{{outcome}}", rate("fieldwatch_command_results_total", "outcome"))]),
        ("Commands without a final result", "short", [("{{state}}", "sum by (state) (fieldwatch_commands_unfinished)")]),
        ("Devices whose breaker is not closed", "short", [("{{state}}", "sum by (state) (fieldwatch_device_breakers)")]),
        ("Commands that came again", "ops", [("repeats", f"sum(rate(fieldwatch_duplicate_commands_total[{INTERVAL}])) or vector(0)")]),
        *[panel for panel in operator("device-commands") if panel[0] != "Late and repeated readings"],
    )),
    "anomaly-detector": ("anomaly-detector", service(
        "anomaly-detector",
        ("Time of a model run", "s", [("p99 {{model}}", quantile(0.99, "fieldwatch_inference_seconds", "model")), ("p50 {{model}}", quantile(0.5, "fieldwatch_inference_seconds", "model"))]),
        ("Model refused", "short", [("refused", "max(fieldwatch_model_refused) or vector(0)")]),
        *operator("anomaly-detector"),
    )),
    "notifier": ("notifier", service(
        "notifier",
        ("Changes", "ops", [("{{action}}", rate("fieldwatch_notifications_total", "action"))]),
        ("Behind", "s", [("{{topic}}", 'max by (topic) (fieldwatch_lag_seconds{job="notifier"})')]),
        ("Partitions owned", "short", [("{{topic}}", 'sum by (topic) (fieldwatch_assigned_partitions{job="notifier"})')]),
        ("Time of a batch", "s", [("p99", quantile(0.99, "fieldwatch_processing_seconds", "stage", 'job="notifier"'))]),
        ("Requests", "reqps", [("{{route}} {{status}}", rate("fieldwatch_http_requests_total", "route, status"))]),
        ("Event streams", "short", [("open", "sum(fieldwatch_sse_clients)")]),
        ("Frames sent", "ops", [("{{event}}", rate("fieldwatch_sse_frames_total", "event"))]),
        ("Deliveries made", "ops", [("deliveries", f"sum(rate(fieldwatch_deliveries_total[{INTERVAL}])) or vector(0)")]),
        ("Attempts to deliver", "ops", [("{{channel}} {{outcome}}", rate("fieldwatch_delivery_attempts_total", "channel, outcome"))]),
        ("Receivers that are spared", "short", [("open breakers", "max(fieldwatch_breakers_open) or vector(0)")]),
        ("Device records passed over", "ops", [("{{topic}}", rate("fieldwatch_device_records_skipped_total", "topic"))]),
    )),
    "outbox-relay": ("outbox-relay", service(
        "outbox-relay",
        ("Rows", "ops", [("{{outcome}}", rate("fieldwatch_outbox_rows_total", "outcome"))]),
        ("Oldest row", "s", [("oldest", "max(fieldwatch_outbox_oldest_seconds)")]),
        ("Sent and not acknowledged", "short", [("{{instance}}", "fieldwatch_outbox_in_flight")]),
        ("Slots leased", "short", [("{{instance}}", "fieldwatch_outbox_slots")]),
        ("Time of a batch", "s", [("p99", quantile(0.99, "fieldwatch_processing_seconds", "stage", 'job="outbox-relay"'))]),
    )),
    "kafka-lag": ("Kafka lag", [
        ("Behind, in seconds", "s", [("{{job}} {{topic}}", "max by (job, topic) (fieldwatch_lag_seconds)")]),
        ("Behind, by replica", "s", [("{{instance}} {{topic}}", "fieldwatch_lag_seconds")]),
        ("Taken", "ops", [("{{job}} {{topic}}", rate("fieldwatch_messages_in_total", "job, topic"))]),
        ("Put into topics", "ops", [("{{topic}}", rate("fieldwatch_messages_out_total", "topic"))]),
        ("Partitions owned, by replica", "short", [("{{instance}} {{topic}}", "fieldwatch_assigned_partitions")]),
        ("Partitions restoring", "short", [("{{job}} {{stage}}", "sum by (job, stage) (fieldwatch_restoring_partitions)")]),
        ("Time to restore a partition", "s", [("p99 {{stage}}", quantile(0.99, "fieldwatch_restore_seconds", "stage") + ' or sum by (stage) (fieldwatch_restore_seconds_sum / fieldwatch_restore_seconds_count)')]),
        ("Age of what is taken", "s", [("p99 {{job}} {{topic}}", quantile(0.99, "fieldwatch_end_to_end_seconds", "job, topic"))]),
    ]),
    "dead-letters": ("Dead letters", [
        ("In the last hour", "short", [("{{job}} {{reason}}", "sum by (job, reason) (increase(fieldwatch_dlq_records_total[1h])) or vector(0)")]),
        ("Rate", "ops", [("{{job}} {{reason}}", rate("fieldwatch_dlq_records_total", "job, reason"))]),
        ("Since the start of each process", "short", [("{{job}} {{instance}} {{reason}}", "fieldwatch_dlq_records_total")]),
        ("Failures by class", "ops", [("{{job}} {{class}}", rate("fieldwatch_failures_total", "job, class"))]),
        ("Rubbish beyond the sample", "ops", [("surplus", f"sum(rate(fieldwatch_mqtt_rejects_sampled_out_total[{INTERVAL}])) or vector(0)")]),
        ("Rows Kafka refuses", "ops", [("{{outcome}}", rate("fieldwatch_outbox_rows_total", "outcome", 'outcome="dead"'))]),
    ]),
}

SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def panel(number, title, unit, targets):
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"x": number % 3 * 8, "y": number // 3 * 8, "w": 8, "h": 8},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 8, "lineWidth": 1, "showPoints": "never"}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}, "tooltip": {"mode": "multi", "sort": "desc"}},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for number, (legend, query) in enumerate(targets)
        ],
    }


def dashboard(name):
    title, panels = DASHBOARDS[name]
    return {
        "uid": f"fieldwatch-{name}",
        "title": f"Fieldwatch: {title}",
        "tags": ["fieldwatch"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [{"type": "dashboards", "tags": ["fieldwatch"], "title": "Fieldwatch", "asDropdown": True, "includeVars": False, "keepTime": True}],
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]},
        "panels": [panel(number, *one) for number, one in enumerate(panels)],
    }


def texts():
    return {FOLDER / f"{name}.json": json.dumps(dashboard(name), indent=1) + "\n" for name in DASHBOARDS}


def queries(interval):
    for name, (_, panels) in DASHBOARDS.items():
        for title, _, targets in panels:
            for _, query in targets:
                yield name, title, query.replace(INTERVAL, interval)


def main(asked):
    if asked == "--check":
        stale = [file.name for file, text in texts().items() if not file.is_file() or file.read_text() != text]
        stale += [file.name for file in FOLDER.iterdir() if file not in texts()]
        sys.exit(f"not what dashboards.py writes: {', '.join(stale)}" if stale else 0)
    if asked == "--rules":
        rules = [{"record": f"query{number}", "expr": query} for number, (_, _, query) in enumerate(queries("5m"))]
        print(json.dumps({"groups": [{"name": "dashboards", "rules": rules}]}))
    elif asked == "--queries":
        print("\n".join(f"{name}\t{title}\t{query}" for name, title, query in queries("1m")))
    else:
        FOLDER.mkdir(exist_ok=True)
        for file, text in texts().items():
            file.write_text(text)


main(sys.argv[1] if len(sys.argv) > 1 else "")
