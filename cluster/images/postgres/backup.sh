#!/bin/sh
# pgBackRest for Looma's database: backups that are looked through, and the road back.
#
#   serve             beside PostgreSQL: makes the repository and its first backup, then lets backups' pods in
#   take full|incr    in a pod of its own: a backup, restored beside and looked through before it counts as checked
#   restore           in a pod of its own, while the database is stopped: its data folder as it was
#
#   PGDATA               data folder of the database
#   LOOMA_LOCAL_CONFIG   pgBackRest's configuration for a data folder of this pod
#   LOOMA_SCRATCH        folder in which `take` restores; empty: the backup is not looked through
#   LOOMA_RESTORE_TO     moment to which `restore` goes, as 2026-05-01 12:00:00+00; empty: to the last change
#   LOOMA_RESTORE_SET    backup from which it begins; empty: the last one before that moment
#   LOOMA_LEDGER         folder shared with the container that keeps the deletion ledger; empty: there is none
set -eu
umask 077

: "${PGDATA:=/var/lib/postgresql/data/pgdata}"
: "${LOOMA_LOCAL_CONFIG:=/etc/pgbackrest/pgbackrest.conf}"
socket=/tmp
recovery_log=/tmp/recovery.log

say() { printf '{"logger": "looma-backup", "event": "%s"}\n' "$1" >&2; }
ask() { psql --host "$socket" --username postgres --dbname postgres --no-psqlrc --tuples-only --no-align --command "$1"; }
labels() { pgbackrest info --output=json | grep -o '"label":"[^"]*"' | cut -d'"' -f4; }

# Start what lies in $1 for this pod alone, by the settings in $2, and wait until it has read all that it shall.
start() {
  : > "$recovery_log"
  pg_ctl --pgdata "$1" --wait --silent --timeout 3600 --log "$recovery_log" \
    --options "-c listen_addresses='' -c ssl=off -c log_min_messages=log -c log_destination=stderr $2" start || {
    grep -E 'FATAL|PANIC|HINT' "$recovery_log" >&2 || tail -n 20 "$recovery_log" >&2
    return 1
  }
  while [ "$(ask 'SELECT pg_is_in_recovery()')" != f ]; do sleep 0.2; done
}

stop() { pg_ctl --pgdata "$1" --wait --silent --timeout 3600 --mode fast stop; }

# Have the container beside do something with the ledger, and wait until it has.
ledger() {
  [ -n "${LOOMA_LEDGER:-}" ] || return 0
  touch "$LOOMA_LEDGER/$1"
  for _ in $(seq 3000); do
    [ ! -e "$LOOMA_LEDGER/$1.done" ] || return 0
    sleep 0.2
  done
  say "the deletion ledger could not be kept within ten minutes, so nothing is started: see the container ledger"
  exit 1
}

bring() {
  set -- --delta "$@"
  [ -z "${LOOMA_RESTORE_SET:-}" ] || set -- "--set=$LOOMA_RESTORE_SET" "$@"
  pgbackrest "$@" restore
}

serve() {
  # The start that makes the roles is a short one, and answers too.
  until [ -e "$PGDATA/looma-roles" ] && pg_isready --quiet --host "$socket" --username postgres; do sleep 1; done
  # Another database's repository is not touched: whoever lost a volume restores it first.
  until pgbackrest stanza-create; do
    say "the repository of backups cannot be used: changes are kept in pg_wal until it can"
    sleep 30
  done
  for pause in 0 10 60; do
    sleep "$pause"
    [ -z "$(labels)" ] || break
    pgbackrest --type=full backup || say "the first backup failed: the next one that is due will be a full one"
  done
  exec pgbackrest server
}

take() {
  # Nothing older goes before what is new was looked through.
  pgbackrest --type="$1" --no-expire-auto backup
  label=$(labels | tail -n 1)
  pgbackrest verify
  if [ -n "${LOOMA_SCRATCH:-}" ]; then
    folder=$LOOMA_SCRATCH/pgdata
    rm -rf "$folder"
    mkdir "$folder"
    pgbackrest --config="$LOOMA_LOCAL_CONFIG" --pg1-path="$folder" --set="$label" --type=immediate \
      --target-action=promote restore
    start "$folder" "-c archive_mode=off"
    pg_amcheck --host "$socket" --username postgres --database looma --install-missing
    stop "$folder"
    rm -rf "$folder"
    pgbackrest annotate --set="$label" --annotation="checked=$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    say "backup $label was restored beside and found whole"
  fi
  pgbackrest expire
}

restore() {
  mkdir -p "$PGDATA" ${LOOMA_LEDGER:+"$LOOMA_LEDGER"}
  # The database is stopped; what says otherwise is of one that was killed.
  rm -f "$PGDATA/postmaster.pid"
  if [ -n "${LOOMA_RESTORE_TO:-}" ]; then
    if [ -n "${LOOMA_LEDGER:-}" ]; then
      # Whom the database has erased since that moment only the log behind it knows: it is read to its end first.
      # Nothing of this goes into the repository.
      LOOMA_RESTORE_SET='' bring
      start "$PGDATA" "-c archive_mode=off"
      ledger export
      stop "$PGDATA"
    fi
    bring --type=time "--target=$LOOMA_RESTORE_TO" --target-action=promote
  else
    bring
  fi
  start "$PGDATA" ""
  ledger apply
  last=$(grep -o 'last completed transaction was at log time .*' "$recovery_log" | cut -d' ' -f8- || true)
  stop "$PGDATA"
  printf '{"logger": "looma-backup", "event": "restored", "last_transaction": "%s"}\n' "$last"
}

case "${1:-}" in
  serve) serve ;;
  take) take "$2" ;;
  restore) restore ;;
  *) echo "looma-backup: serve, take full, take incr, or restore" >&2; exit 64 ;;
esac
