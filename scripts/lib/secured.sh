# FIELDWATCH_SECURED=1: every connection of the suite by TLS and with a name and password, each service as a Kafka user that may
# do what schemas/topics.yaml says and no more. A running instance is known as secured by its data folder.
# The certificates are those of scripts/certs; a device is the MQTT user `device`.

CERTS=$DATA/certs
KAFKA_ADMIN=admin

SYSTEM_AUTHORITIES=/etc/ssl/certs/ca-certificates.crt

is_secured() { [[ ${FIELDWATCH_SECURED:-} == 1 || -d $CERTS ]]; }

if is_secured; then
  SERVER_PACKAGES+=(nginx openssl)
  INFRA_PORTS+=$'\nregistry-backend 19001 schema registry behind its proxy\n'
  set_ports
fi

# scheme http, scheme mqtt: the scheme of this instance's addresses.
scheme() { if is_secured; then echo "$1s"; else echo "$1"; fi; }
# Behind the address of a database.
database_parameters() { if is_secured; then echo "?sslmode=verify-full&sslrootcert=$CERTS/ca.crt"; fi; }

# What is there was made for the one or for the other.
require_same_security() {
  [[ ${FIELDWATCH_SECURED:-} != 1 || -d $CERTS || ! -f $DATA/ports ]] ||
    die "instance $INSTANCE was made without TLS: choose another FIELDWATCH_INSTANCE, or scripts/down --purge"
}

prepare_security() {
  is_secured || return 0
  "$SCRIPTS/certs" "$CERTS" 2>/dev/null || die "the certificates could not be made"
  # For what knows only one file of authorities.
  cat "$SYSTEM_AUTHORITIES" "$CERTS/ca.crt" >"$CERTS/bundle.crt"
  trust_certificates
}

# What psql, pg_dump and curl read.
trust_certificates() { export PGSSLMODE=verify-full PGSSLROOTCERT=$CERTS/ca.crt CURL_CA_BUNDLE=$CERTS/bundle.crt; }

# Who connects to Kafka by itself, and besides who looks at lag and the broker's administrator.
kafka_clients() { awk 'NF && $1 != "notifier-api" {print $1} END {print "fieldctl"}' <<<"$SUITE_PORTS"; }
kafka_users() { kafka_clients && printf '%s\n' lag-observer "$KAFKA_ADMIN"; }

password_file() { secret_file "password-of-$1"; }
password_of() { cat "$(password_file "$1")"; }

# Appended to server.properties. The controller knows the broker by its certificate.
secured_kafka() {
  cat "$CERTS/kafka.key" "$CERTS/kafka.crt" >"$DATA/kafka/kafka.pem"
  cat <<PROPERTIES

listeners=SECURED://127.0.0.1:${PORT[kafka]},CONTROLLER://127.0.0.1:${PORT[controller]}
advertised.listeners=SECURED://127.0.0.1:${PORT[kafka]},CONTROLLER://127.0.0.1:${PORT[controller]}
listener.security.protocol.map=SECURED:SASL_SSL,CONTROLLER:SSL
inter.broker.listener.name=SECURED
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.secured.scram-sha-512.sasl.jaas.config=$(scram_login)
listener.name.controller.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location=$DATA/kafka/kafka.pem
ssl.truststore.type=PEM
ssl.truststore.location=$CERTS/ca.crt
ssl.principal.mapping.rules=RULE:^CN=([^,]+).*\$/\$1/
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:$KAFKA_ADMIN;User:kafka
allow.everyone.if.no.acl.found=false
PROPERTIES
}

scram_login() {
  echo "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"$KAFKA_ADMIN\" password=\"$(password_of "$KAFKA_ADMIN")\";"
}

# As arguments of the storage tool, which puts them into the cluster's first records.
scram_users() {
  local name
  is_secured || return 0
  for name in $(kafka_users); do printf '%s\n' --add-scram "SCRAM-SHA-512=[name=$name,password=$(password_of "$name")]"; done
}

# Kafka's own tool for rights, as the administrator.
kafka_acls() {
  local login=$DATA/kafka/admin.properties
  printf '%s\n' security.protocol=SASL_SSL sasl.mechanism=SCRAM-SHA-512 "sasl.jaas.config=$(scram_login)" \
    ssl.truststore.type=PEM "ssl.truststore.location=$CERTS/ca.crt" >"$login"
  kafka_tool org.apache.kafka.tools.AclCommand --bootstrap-server "127.0.0.1:${PORT[kafka]}" --command-config "$login" "$@"
}

# The rights that `fieldctl topics rights` prints; those that are there already stay.
apply_rights() {
  local line=() wanted=$DATA/kafka/rights
  is_secured || return 0
  fieldctl topics rights >"$wanted.new" || return 1
  ! cmp -s "$wanted.new" "$wanted" || return 0
  say "giving $(wc -l <"$wanted.new") kinds of rights to Kafka's users"
  while read -ra line; do
    kafka_acls --add "${line[@]}" >/dev/null || return 1
  done <"$wanted.new"
  mv "$wanted.new" "$wanted"
}

# Apicurio knows passwords only of an identity server; nginx asks for one, and speaks TLS, in its place.
registry_proxy_start() {
  local folder=$DATA/registry-proxy
  mkdir -p "$folder"
  echo "fieldwatch:$(openssl passwd -apr1 -in "$(password_file registry)")" >"$folder/users"
  render registry-proxy.conf "$folder/nginx.conf" REGISTRY_PORT="${PORT[registry]}" BACKEND_PORT="${PORT[registry-backend]}" \
    CERTS="$CERTS" FOLDER="$folder" WORKERS="$( ((EUID != 0)) || echo 'user root;')"
  start_process registry-proxy "$(nginx_program)" -c "$folder/nginx.conf" -e stderr
  wait_until_ready registry-proxy 10 port_is_taken "${PORT[registry]}"
}

nginx_program() { PATH=$PATH:/usr/sbin command -v nginx || die "nginx is not installed"; }

# secured_copies NAME USER: certificate and key where a server that runs as USER may read them, below FOLDER.
secured_copies() {
  local part owner=()
  ((EUID != 0)) || owner=(-o "$2" -g "$2")
  for part in crt key; do install -m 600 "${owner[@]}" "$CERTS/$1.$part" "$FOLDER/$1.$part"; done
  install -m 644 "$CERTS/ca.crt" "$FOLDER/ca.crt"
}

# Appended to mosquitto.conf, in FOLDER.
secured_mosquitto() {
  local name
  secured_copies mosquitto mosquitto
  : >"$FOLDER/passwords"
  for name in mqtt-bridge device; do mosquitto_passwd -b "$FOLDER/passwords" "$name" "$(password_of "mqtt-$name")" 2>/dev/null || return 1; done
  # The bridge hears everything and says only commands; devices hear theirs, and say what devices say. Where each device has a
  # name of its own, the patterns keep it to itself: leave out the lines of `device`, which stands for all of them.
  printf '%s\n' 'user mqtt-bridge' 'topic read #' 'topic write devices/+/commands' \
    'user device' 'topic write iot/#' 'topic write devices/+/telemetry' 'topic write devices/+/status' 'topic write devices/+/state' \
    'topic read devices/+/commands' 'topic readwrite fieldwatch/infra/#' \
    'pattern read devices/%u/commands' 'pattern write devices/%u/state' >"$FOLDER/rights"
  chmod 600 "$FOLDER"/{passwords,rights}
  ((EUID != 0)) || chown mosquitto: "$FOLDER"/{passwords,rights}
  printf '%s\n' "cafile $FOLDER/ca.crt" "certfile $FOLDER/mosquitto.crt" "keyfile $FOLDER/mosquitto.key" \
    'allow_anonymous false' "password_file $FOLDER/passwords" "acl_file $FOLDER/rights"
}

# Export lines, beside those of any instance.
secured_env() {
  local name upper
  export_line FIELDWATCH__KAFKA__SECURITY_PROTOCOL sasl_ssl
  export_line FIELDWATCH__KAFKA__SASL_MECHANISM SCRAM-SHA-512
  export_line FIELDWATCH__KAFKA__CA_FILE "$CERTS/ca.crt"
  for name in $(kafka_clients); do
    upper=${name^^}
    export_line "${upper//-/_}__KAFKA__USERNAME" "$name"
    export_line "${upper//-/_}__KAFKA__PASSWORD_FILE" "$(password_file "$name")"
  done
  export_line FIELDWATCH__REGISTRY__USERNAME fieldwatch
  export_line FIELDWATCH__REGISTRY__PASSWORD_FILE "$(password_file registry)"
  export_line SSL_CERT_FILE "$CERTS/bundle.crt"
  export_line MQTT_BRIDGE__MQTT__USERNAME mqtt-bridge
  export_line MQTT_BRIDGE__MQTT__PASSWORD_FILE "$(password_file mqtt-mqtt-bridge)"
  export_line MQTT_BRIDGE__MQTT__CA_FILE "$CERTS/ca.crt"
  export_line FIELDCTL__MQTT__USERNAME device
  export_line FIELDCTL__MQTT__PASSWORD_FILE "$(password_file mqtt-device)"
  export_line FIELDCTL__MQTT__CA_FILE "$CERTS/ca.crt"
  export_line NOTIFIER__API__CERTIFICATE_FILE "$CERTS/notifier.crt"
  export_line NOTIFIER__API__KEY_FILE "$CERTS/notifier.key"
}

if [[ -f $CERTS/bundle.crt ]]; then trust_certificates; fi
