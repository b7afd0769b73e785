#!/usr/bin/env bash
# Lets the reference library of Standard Webhooks verify what a running notifier posts: a test, a notification, and both
# sides of a rotation of the secret.
# Needs the infrastructure's addresses (scripts/infra env) and built notifier and fieldctl; BIN names their folder.
set -euo pipefail
# shellcheck source=services/notifier/tests/live.sh
source "$(dirname "${BASH_SOURCE[0]}")/live.sh"

prepare_python notifier
start_notifier
"$VENV/bin/python" "$HERE/webhook_receiver.py" "$API" "$BOOTSTRAP_KEY_FILE"
