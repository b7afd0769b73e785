# Mosquitto with our own limits. Ready when a message goes in and comes out again.

mosquitto_start() {
  local program
  server_folder mosquitto mosquitto
  as_user mosquitto
  render mosquitto.conf "$FOLDER/mosquitto.conf" MOSQUITTO_PORT="${PORT[mosquitto]}" DATA="$FOLDER"
  if is_secured; then secured_mosquitto >>"$FOLDER/mosquitto.conf"; fi
  chmod 644 "$FOLDER/mosquitto.conf"
  program=$(mosquitto_program) || die "mosquitto is not installed"
  start_process mosquitto "${AS_USER[@]}" "$program" -c "$FOLDER/mosquitto.conf"
  wait_until_ready mosquitto 15 mosquitto_answers
}

# On Debian it is in /usr/sbin, which is not on every user's PATH.
mosquitto_program() { PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mosquitto; }

mosquitto_answers() {
  local topic=fieldwatch/infra/$$ token=$RANDOM answer at
  mapfile -t at < <(mqtt_device)
  timeout 2 mosquitto_pub "${at[@]}" -t "$topic" -q 1 -r -m "$token" 2>/dev/null || return 1
  answer=$(timeout 2 mosquitto_sub "${at[@]}" -t "$topic" -C 1 -W 1 2>/dev/null) || return 1
  timeout 2 mosquitto_pub "${at[@]}" -t "$topic" -q 1 -r -n 2>/dev/null || return 1
  [[ $answer == "$token" ]]
}

# Arguments of mosquitto_pub and mosquitto_sub, a line each.
mqtt_device() {
  printf '%s\n' -h 127.0.0.1 -p "${PORT[mosquitto]}"
  if is_secured; then printf '%s\n' --cafile "$CERTS/ca.crt" -u device -P "$(password_of mqtt-device)"; fi
}

mqtt_url() { echo "$(scheme mqtt)://127.0.0.1:${PORT[mosquitto]}"; }

mosquitto_stop() { stop_process mosquitto 15; }
