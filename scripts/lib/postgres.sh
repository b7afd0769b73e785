# PostgreSQL: a cluster of our own, never as root; role and database `fieldwatch`, and a database for the registry.

postgres_start() {
  local bin cluster password_file secured=() wal_level=${FIELDWATCH_POSTGRES_WAL_LEVEL:-replica} replication=NOREPLICATION
  [[ $wal_level != logical ]] || replication=REPLICATION
  server_folder postgres postgres
  cluster=$FOLDER/cluster
  as_user postgres
  bin=$(postgres_bin "$cluster")
  password_file=$(secret_file postgres-password)
  if [[ ! -d $cluster ]]; then
    rm -rf "$cluster.new"
    # initdb reads the password as the other user, who cannot open our file.
    "${AS_USER[@]}" bash -c 'umask 077 && cat >"$1"' _ "$FOLDER/password" <"$(secret_file postgres-admin-password)"
    "${AS_USER[@]}" "$bin/initdb" -D "$cluster.new" --username=postgres --pwfile="$FOLDER/password" --auth=scram-sha-256 \
      --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$DATA/initdb.log" 2>&1 ||
      die "the database cluster could not be made: $(tail -n 5 "$DATA/initdb.log")"
    rm "$FOLDER/password"
    mv "$cluster.new" "$cluster"
  fi
  render postgresql.conf "$FOLDER/postgresql.conf" POSTGRES_PORT="${PORT[postgres]}"
  chmod 644 "$FOLDER/postgresql.conf"
  if is_secured; then
    secured_copies postgres postgres
    install -m 644 <(echo 'hostssl all all 127.0.0.1/32 scram-sha-256') "$FOLDER/pg_hba.conf"
    secured=(-c ssl=on -c ssl_cert_file="$FOLDER/postgres.crt" -c ssl_key_file="$FOLDER/postgres.key" -c hba_file="$FOLDER/pg_hba.conf")
  fi
  wait_until_reaped "$cluster"
  start_process postgres "${AS_USER[@]}" "$bin/postgres" -D "$cluster" -c config_file="$FOLDER/postgresql.conf" \
    -c fsync="${FIELDWATCH_POSTGRES_FSYNC:-on}" -c wal_level="$wal_level" "${secured[@]}"
  wait_until_ready postgres 60 postgres_answers
  PGPASSWORD=$(<"$DATA/postgres-admin-password") psql_as postgres postgres -q -v password="$(<"$password_file")" \
    -v replication="$replication" <<'SQL' || die "role and databases could not be made"
SELECT 'CREATE ROLE fieldwatch' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'fieldwatch') \gexec
ALTER ROLE fieldwatch LOGIN CREATEDB :replication PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER fieldwatch', name) FROM (VALUES ('fieldwatch'), ('registry')) wanted(name)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec
SQL
}

# The pid of a killed server stays taken until its parent collects it; PostgreSQL would see a server that runs.
wait_until_reaped() {
  local pid deadline=$((SECONDS + 10))
  pid=$("${AS_USER[@]}" head -n 1 "$1/postmaster.pid" 2>/dev/null) || return 0
  while [[ -d /proc/$pid ]] && ! start_time "$pid" >/dev/null && ((SECONDS < deadline)); do sleep 0.1; done
}

# psql_as ROLE DATABASE ARGUMENT...: the password is in PGPASSWORD.
psql_as() {
  local role=$1 database=$2
  shift 2
  psql -X -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "${PORT[postgres]}" -U "$role" -d "$database" "$@"
}

postgres_answers() { "$(postgres_bin "$DATA/none")/pg_isready" -q -h 127.0.0.1 -p "${PORT[postgres]}" -t 2; }

# postgres_bin CLUSTER: the programs of the version that made the cluster, else the newest on the machine.
postgres_bin() {
  local bin version=''
  [[ ! -f $1/PG_VERSION ]] || version=$(<"$1/PG_VERSION")
  bin=$(find /usr/lib/postgresql -path "*/${version:-*}/bin/postgres" 2>/dev/null | sort -V | tail -n 1)
  [[ -n $bin ]] || die "PostgreSQL ${version:-}: no server programs in /usr/lib/postgresql"
  dirname "$bin"
}

# SIGINT is the fast shutdown: clients are disconnected, everything is written.
postgres_stop() { stop_process postgres 30 INT; }
