# The schema registry: Apicurio, its schemas in our PostgreSQL so that a restart forgets none, FULL_TRANSITIVE for every subject.

registry_start() {
  local java port=${PORT[registry]}
  if is_secured; then port=${PORT[registry-backend]}; fi
  java=$(find_java 21) || die "the schema registry needs Java 21 or newer"
  export APICURIO_STORAGE_SQL_KIND=postgresql APICURIO_DATASOURCE_USERNAME=fieldwatch
  APICURIO_DATASOURCE_URL=jdbc:postgresql://127.0.0.1:${PORT[postgres]}/registry$(database_parameters)
  export APICURIO_DATASOURCE_URL
  APICURIO_DATASOURCE_PASSWORD=$(<"$(secret_file postgres-password)")
  export APICURIO_DATASOURCE_PASSWORD
  export APICURIO_DATASOURCE_JDBC_INITIAL_SIZE=2 APICURIO_DATASOURCE_JDBC_MIN_SIZE=2 APICURIO_DATASOURCE_JDBC_MAX_SIZE=20
  # It starts often and is asked little: optimising what it runs costs more than it saves.
  start_process registry "$java" -Xmx300m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError \
    -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$port" \
    -Dquarkus.management.host=127.0.0.1 -Dquarkus.management.port="${PORT[management]}" \
    -jar "$APICURIO_HOME/quarkus-run.jar"
  wait_until_ready registry 90 registry_answers
  curl -fsS --noproxy '*' --max-time 10 -o /dev/null -X PUT -H 'Content-Type: application/json' \
    -d '{"compatibility":"FULL_TRANSITIVE"}' "http://127.0.0.1:$port$REGISTRY_API/config" || die "the registry refused the compatibility FULL_TRANSITIVE"
  if is_secured; then registry_proxy_start; fi
}

REGISTRY_API=/apis/ccompat/v7
registry_url() { echo "$(scheme http)://127.0.0.1:${PORT[registry]}$REGISTRY_API"; }

registry_answers() { curl -fsS --noproxy '*' --max-time 2 -o /dev/null "http://127.0.0.1:${PORT[management]}/health/ready" 2>/dev/null; }

registry_stop() {
  stop_process registry-proxy 5
  stop_process registry 20
}
