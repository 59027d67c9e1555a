#!/usr/bin/env bash
# pgbench.sh [SECONDS [REPETITIONS]]: Cairn beside PostgreSQL 15, in one run.
#
# Three Cairn processes, a single PostgreSQL, and a PostgreSQL primary with two
# streaming standbys of which one must confirm (synchronous_standby_names =
# 'ANY 1 (…)'; durable on two of three, the fair peer), all on loopback and one
# disk. Loads scale 10 into each, then interleaves the runs: peer, Cairn, peer,
# Cairn. Prints one line a run: server, script, clients, tps, mean latency (ms),
# failed transactions. Only one server runs at a time.
#
# SCRIPTS names pgbench's own scripts, or counter.
#
# Needs postgresql-15 (with pgbench) and bin/cairn; run it as root, which runs
# PostgreSQL as user postgres. Stops what it started.
set -euo pipefail
[ -z "${TRACE:-}" ] || set -x
secs=${1:-20} reps=${2:-2}
clients=${CLIENTS:-"1 4 16"} scripts=${SCRIPTS:-"tpcb-like select-only"} scale=${SCALE:-10}
top=$(cd "$(dirname "$0")/../.." && pwd)
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
dir=$(mktemp -d)
chmod 755 "$dir"
pids=()

as_postgres() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }

stop_all() {
  for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
  for p in "${pids[@]}"; do while kill -0 "$p" 2>/dev/null; do sleep 0.1; done; done
  pids=()
  for d in "$dir"/pg/*/; do
    [ -f "$d/postmaster.pid" ] && as_postgres "$bin/pg_ctl" -D "$d" -m fast -w stop >/dev/null || true
  done
}
trap 'stop_all; rm -rf "$dir"' EXIT

cairn_up() {
  local join=127.0.0.1:17433,127.0.0.1:17443,127.0.0.1:17453 i
  for i in 0 1 2; do
    "$top/bin/cairn" start --insecure --store "$dir/cairn/n$i" --sql-addr "127.0.0.1:174$((3 + i))2" \
      --rpc-addr "127.0.0.1:174$((3 + i))3" --http-addr "127.0.0.1:1748$i" --join "$join" \
      --log-level warn >"$dir/cairn$i.out" 2>"$dir/cairn$i.err" &
    pids+=($!)
  done
  until "$top/bin/cairn" init --host 127.0.0.1:17433 >/dev/null 2>&1 || grep -q ready "$dir/cairn0.out"; do sleep 0.1; done
  until [ "$(cat "$dir"/cairn?.out | grep -c ready)" = 3 ]; do sleep 0.1; done
  export PGHOST=127.0.0.1 PGPORT=17432 PGUSER=root PGDATABASE=defaultdb
}

pg_conf() {
  cat >>"$1/postgresql.conf" <<C
listen_addresses = '127.0.0.1'
port = $2
unix_socket_directories = ''
shared_buffers = 512MB
max_wal_size = 4GB
checkpoint_timeout = 15min
wal_keep_size = 2GB
jit = off
C
}

pg_up() { # pg_up single|quorum
  export PGHOST=127.0.0.1 PGPORT=17532 PGUSER=bench PGDATABASE=bench
  local p=$dir/pg/$1-p i
  if [ ! -d "$p" ]; then
    mkdir -p "$dir/pg"
    [ "$(id -u)" != 0 ] || chown postgres "$dir/pg"
    as_postgres "$bin/initdb" -D "$p" -U bench -A trust --no-instructions >/dev/null
    pg_conf "$p" 17532
    as_postgres "$bin/pg_ctl" -D "$p" -l "$dir/pg/$1.log" -w start >/dev/null
    "$bin/createdb" bench
    if [ "$1" = quorum ]; then
      for i in 1 2; do
        as_postgres "$bin/pg_basebackup" -h 127.0.0.1 -p 17532 -U bench -D "$dir/pg/quorum-s$i" -R -X stream -c fast
        as_postgres sh -c "echo 'port = $((17532 + i))' >> '$dir/pg/quorum-s$i/postgresql.conf'
          echo \"primary_conninfo = 'host=127.0.0.1 port=17532 user=bench application_name=s$i'\" >> '$dir/pg/quorum-s$i/postgresql.auto.conf'"
      done
      "$bin/psql" -qc "alter system set synchronous_standby_names = 'ANY 1 (s1, s2)'"
    fi
    as_postgres "$bin/pg_ctl" -D "$p" -m fast -w stop >/dev/null
  fi
  as_postgres "$bin/pg_ctl" -D "$p" -l "$dir/pg/$1.log" -w start >/dev/null
  if [ "$1" = quorum ]; then
    for i in 1 2; do as_postgres "$bin/pg_ctl" -D "$dir/pg/quorum-s$i" -l "$dir/pg/s$i.log" -w start >/dev/null; done
    until [ "$("$bin/psql" -Atc "select count(*) from pg_stat_replication where sync_state = 'quorum'")" = 2 ]; do sleep 0.1; done
  fi
}

up() { case $1 in cairn) cairn_up ;; pg-single) pg_up single ;; pg-quorum) pg_up quorum ;; esac; }

# counter is one row that all clients add to.
counter=$dir/counter.sql
echo 'UPDATE counter SET n = n + 1 WHERE id = 1;' >"$counter"

run() { # run SERVER SCRIPT CLIENTS
  local what=(-b "$2")
  [ "$2" != counter ] || what=(-f "$counter")
  "$bin/pgbench" -n -M prepared "${what[@]}" -s "$scale" -c "$3" -j "$(($3 < 2 ? 1 : 2))" -T "$secs" --max-tries=10 >"$dir/out" 2>"$dir/err" ||
    tail -2 "$dir/err" >&2
  printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$(awk '/^tps = .*without/{print $3}' "$dir/out")" \
    "$(awk '/^latency average/{print $4}' "$dir/out")" "$(awk '/failed transactions/{print $5}' "$dir/out")"
}

servers=${SERVERS:-"pg-single pg-quorum cairn"}
for s in $servers; do
  up "$s"
  t=$(date +%s%N)
  "$bin/pgbench" -q -i -s "$scale" >/dev/null 2>"$dir/init.err" || { tail -3 "$dir/init.err" >&2; exit 1; }
  "$bin/psql" -qc 'create table counter (id int primary key, n int); insert into counter values (1, 0)'
  printf '%s\tload\t1\t%s s\n' "$s" "$((($(date +%s%N) - t) / 1000000000))"
  stop_all
done
for _ in $(seq "$reps"); do
  for s in $servers; do
    up "$s"
    for script in $scripts; do for c in $clients; do run "$s" "$script" "$c"; done; done
    stop_all
  done
done
