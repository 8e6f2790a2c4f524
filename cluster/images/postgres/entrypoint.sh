#!/bin/sh
# Starts PostgreSQL; on the first start, and when the passwords have changed, makes the roles and the database.
#
#   PGDATA                data folder, made here (its parent is the volume)
#   LOOMA_PASSWORDS       folder with the files owner-password and app-password (a mounted Secret)
#   LOOMA_POSTGRES_CONF   configuration file, included after PostgreSQL's own
#
# looma_owner owns the database and runs the migrations; looma_app is what engines and console log in as. Neither is
# a superuser, and neither bypasses row-level security. The superuser can log in only from inside the container.
# Every step may be interrupted and is repeated at the next start.
set -eu
umask 077

: "${PGDATA:=/var/lib/postgresql/data/pgdata}"
: "${LOOMA_PASSWORDS:=/etc/looma/passwords}"
: "${LOOMA_POSTGRES_CONF:=/etc/looma/postgresql/postgresql.conf}"
socket=/tmp

say() { printf '{"logger": "looma-postgres", "event": "%s"}\n' "$1" >&2; }

if [ -s "$PGDATA/PG_VERSION" ] && [ "$(cat "$PGDATA/PG_VERSION")" != 17 ]; then
  say "the data folder is of PostgreSQL $(cat "$PGDATA/PG_VERSION"), this image is of 17: dump it with the old one and restore it here"
  exit 1
fi

# Of a restore that did not come to its end: nothing may start from it, nor take its place.
if [ -e "$PGDATA/backup.manifest" ] || { [ -e "$PGDATA" ] && [ ! -s "$PGDATA/PG_VERSION" ]; }; then
  say "the data folder is of a restore that did not end: restore again"
  exit 1
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  say "making the data folder"
  # Under another name until it is whole, so that a start that was killed half-way leaves nothing that looks ready.
  rm -rf "$PGDATA.new"
  initdb --pgdata "$PGDATA.new" --username postgres --auth-local peer --auth-host scram-sha-256 \
    --encoding UTF8 --locale-provider builtin --builtin-locale C.UTF-8 --locale C.UTF-8 --data-checksums >&2
  mv "$PGDATA.new" "$PGDATA"
fi

# Written at every start: these are the image's and the chart's to say, not the volume's.
cat > "$PGDATA/pg_hba.conf" <<'HBA'
local   all all     peer
hostssl all all all scram-sha-256
host    all all all reject
HBA
cat > "$PGDATA/postgresql.auto.looma.conf" <<CONF
unix_socket_directories = '$socket'
jit = off
include_if_exists '$LOOMA_POSTGRES_CONF'
CONF
grep -q "postgresql.auto.looma.conf" "$PGDATA/postgresql.conf" ||
  echo "include 'postgresql.auto.looma.conf'" >> "$PGDATA/postgresql.conf"

wanted=$(cat "$0" "$LOOMA_PASSWORDS/owner-password" "$LOOMA_PASSWORDS/app-password" | sha256sum | cut -d' ' -f1)
if [ "$(cat "$PGDATA/looma-roles" 2>/dev/null || true)" != "$wanted" ]; then
  say "making the roles and the database"
  # Reached through the socket alone: nobody from outside gets in before the passwords are set.
  pg_ctl --pgdata "$PGDATA" --wait --silent --timeout 600 --options "-c listen_addresses='' -c ssl=off" start >&2
  export LOOMA_PASSWORDS
  psql --host "$socket" --username postgres --dbname postgres --no-psqlrc --quiet --set ON_ERROR_STOP=1 >&2 <<'SQL'
\set owner_password `cat "$LOOMA_PASSWORDS/owner-password"`
\set app_password `cat "$LOOMA_PASSWORDS/app-password"`
SELECT 'CREATE ROLE looma_owner' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'looma_owner') \gexec
SELECT 'CREATE ROLE looma_app' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'looma_app') \gexec
ALTER ROLE looma_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'owner_password';
ALTER ROLE looma_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'app_password';
SELECT 'CREATE DATABASE looma OWNER looma_owner' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'looma') \gexec
REVOKE ALL ON DATABASE looma FROM PUBLIC;
GRANT CONNECT ON DATABASE looma TO looma_app;
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
\connect looma
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
SQL
  pg_ctl --pgdata "$PGDATA" --wait --silent --mode fast stop >&2
  echo "$wanted" > "$PGDATA/looma-roles"
fi

exec postgres -D "$PGDATA" "$@"
