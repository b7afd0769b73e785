# Which set of servers and services a script means: its name, folders and ports.
# Two instances with different names and offsets run side by side and share nothing but the download cache.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SCRIPTS=$ROOT/scripts
INSTANCE=${FIELDWATCH_INSTANCE:-main}
DATA=${FIELDWATCH_DATA:-$ROOT/target/infra/$INSTANCE}
CACHE=${FIELDWATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fieldwatch}
LOGS=$DATA/logs
PIDS=$DATA/pids

[[ $INSTANCE =~ ^[a-z0-9][a-z0-9-]*$ ]] || die "FIELDWATCH_INSTANCE is '$INSTANCE': lower-case letters, digits and - only"
[[ ${FIELDWATCH_PORT_OFFSET:-0} =~ ^[0-9]+$ ]] || die "FIELDWATCH_PORT_OFFSET is '$FIELDWATCH_PORT_OFFSET': a number is needed"

# name, default port, what it is for. The variable FIELDWATCH_<NAME>_PORT overrides one; the offset shifts the others.
INFRA_PORTS='
kafka              9092  Kafka
controller         9093  Kafka controller
registry           8081  schema registry
management         19000 health of the schema registry
postgres           5432  PostgreSQL
mosquitto          1883  Mosquitto (MQTT)'
# Further brokers, where there are three. Each broker has a second listener then, which tells clients the port of a proxy: what
# comes through the proxy can be cut and delayed, what comes through the first cannot.
CLUSTER_PORTS='
kafka-2            9094  Kafka, second broker
controller-2       9095  Kafka controller, second broker
kafka-3            9096  Kafka, third broker
controller-3       9097  Kafka controller, third broker
kafka-proxied      9111  Kafka, for its proxy
kafka-2-proxied    9112  Kafka, second broker, for its proxy
kafka-3-proxied    9113  Kafka, third broker, for its proxy
kafka-proxy        9114  proxy of Kafka
kafka-2-proxy      9115  proxy of Kafka, second broker
kafka-3-proxy      9116  proxy of Kafka, third broker'
SUITE_PORTS='
mqtt-bridge        9101  admin port of mqtt-bridge
temperature-alert  9102  admin port of temperature-alert
device-commands  9106  admin port of device-commands
anomaly-detector   9103  admin port of anomaly-detector
notifier           9104  admin port of notifier
outbox-relay       9105  admin port of outbox-relay
notifier-api       8080  notification API'

# Kafka has one broker, or three that replicate; an instance keeps what it was made with.
KAFKA_BROKERS=${FIELDWATCH_KAFKA_BROKERS:-1}
[[ ! -d $DATA/kafka-3 ]] || KAFKA_BROKERS=3
[[ $KAFKA_BROKERS == 1 || $KAFKA_BROKERS == 3 ]] || die "FIELDWATCH_KAFKA_BROKERS is '$KAFKA_BROKERS': 1 or 3"
[[ $KAFKA_BROKERS == 1 ]] || INFRA_PORTS+=$CLUSTER_PORTS

declare -A PORT PURPOSE

# port_variable NAME: the variable that moves this one port.
port_variable() {
  local upper=${1^^}
  echo "FIELDWATCH_${upper//-/_}_PORT"
}

set_ports() {
  local name default purpose variable
  while read -r name default purpose; do
    [[ -n $name ]] || continue
    variable=$(port_variable "$name")
    PORT[$name]=${!variable:-$((default + ${FIELDWATCH_PORT_OFFSET:-0}))}
    PURPOSE[$name]=$purpose
    [[ ${PORT[$name]} =~ ^[0-9]+$ && ${PORT[$name]} -ge 1 && ${PORT[$name]} -le 65535 ]] ||
      die "$variable: ${PORT[$name]} is not a port for $purpose"
  done <<<"$INFRA_PORTS$SUITE_PORTS"
}

all_ports() { awk 'NF {print $1}' <<<"$INFRA_PORTS$SUITE_PORTS"; }

# A running instance is found again without repeating its variables: `up` writes its ports down, the others read them.
save_ports() {
  local name
  for name in "${!PORT[@]}"; do echo "$name ${PORT[$name]}"; done | sort >"$DATA/ports.new"
  mv "$DATA/ports.new" "$DATA/ports"
}

recall_ports() {
  local name port
  [[ -f $DATA/ports ]] || return 0
  while read -r name port; do PORT[$name]=$port; done <"$DATA/ports"
}

# Settings that say where the instance is; for the hints a script prints.
instance_prefix() {
  local prefix=''
  [[ $INSTANCE == main ]] || prefix+="FIELDWATCH_INSTANCE=$INSTANCE "
  [[ ${FIELDWATCH_PORT_OFFSET:-0} == 0 ]] || prefix+="FIELDWATCH_PORT_OFFSET=$FIELDWATCH_PORT_OFFSET "
  [[ -z ${FIELDWATCH_DATA:-} ]] || prefix+="FIELDWATCH_DATA=$FIELDWATCH_DATA "
  echo "$prefix"
}

set_ports
