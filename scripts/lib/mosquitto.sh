# Mosquitto with our own limits. Ready when a message goes in and comes out again.

mosquitto_start() {
  local program
  server_folder mosquitto mosquitto
  as_user mosquitto
  render mosquitto.conf "$FOLDER/mosquitto.conf" MOSQUITTO_PORT="${PORT[mosquitto]}" DATA="$FOLDER"
  chmod 644 "$FOLDER/mosquitto.conf"
  program=$(mosquitto_program) || die "mosquitto is not installed"
  start_process mosquitto "${AS_USER[@]}" "$program" -c "$FOLDER/mosquitto.conf"
  wait_until_ready mosquitto 15 mosquitto_answers
}

# On Debian it is in /usr/sbin, which is not on every user's PATH.
mosquitto_program() { PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mosquitto; }

mosquitto_answers() {
  local at=(-h 127.0.0.1 -p "${PORT[mosquitto]}" -t "fieldwatch/infra/$$") token=$RANDOM answer
  timeout 2 mosquitto_pub "${at[@]}" -q 1 -r -m "$token" 2>/dev/null || return 1
  answer=$(timeout 2 mosquitto_sub "${at[@]}" -C 1 -W 1 2>/dev/null) || return 1
  timeout 2 mosquitto_pub "${at[@]}" -q 1 -r -n 2>/dev/null || return 1
  [[ $answer == "$token" ]]
}

mosquitto_stop() { stop_process mosquitto 15; }
