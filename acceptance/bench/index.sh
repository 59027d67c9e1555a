#!/usr/bin/env bash
# index.sh [SCALE [RATE [SECONDS]]]: what building an index costs those who use the table.
#
# Three Cairn processes on loopback and one disk. Loads pgbench's tables (100 000
# accounts a unit of SCALE), runs pgbench's own transaction at RATE a second (0:
# as many as go) for SECONDS, and then again while an index of the accounts is
# built, until that is done. Prints for both the transactions, the median, the
# 95th and 99th percentile and the longest of their latencies in ms (at a rate:
# from when each was due), and what the build took. Needs pgbench and psql of
# PostgreSQL 15 and bin/cairn, or the binary that CAIRN names.
# With ALTERNATE=8 the build is paused every other 8 seconds and the two kinds of
# time are compared: that tells more on a machine that does other work.
set -euo pipefail
scale=${1:-10} rate=${2:-100} secs=${3:-30} clients=${CLIENTS:-8}
index=${INDEX:-create index by_balance on pgbench_accounts (abalance)}
top=$(cd "$(dirname "$0")/../.." && pwd)
cairn=${CAIRN:-$top/bin/cairn}
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
dir=$(mktemp -d)
pids=()
stop_all() {
  for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
  for p in "${pids[@]}"; do while kill -0 "$p" 2>/dev/null; do sleep 0.1; done; done
}
trap 'stop_all; rm -rf "$dir"' EXIT

port=$((20000 + RANDOM % 9000))
join=127.0.0.1:$((port + 1)),127.0.0.1:$((port + 11)),127.0.0.1:$((port + 21))
for i in 0 1 2; do
  p=$((port + 10 * i))
  "$cairn" start --insecure --store "$dir/n$i" --sql-addr "127.0.0.1:$p" --rpc-addr "127.0.0.1:$((p + 1))" \
    --http-addr "127.0.0.1:$((p + 2))" --join "$join" --log-level warn >"$dir/cairn$i.out" 2>"$dir/cairn$i.err" &
  pids+=($!)
done
until "$cairn" init --host "127.0.0.1:$((port + 1))" >/dev/null 2>&1 || grep -q ready "$dir/cairn0.out"; do sleep 0.1; done
until [ "$(cat "$dir"/cairn?.out | grep -c ready)" = 3 ]; do sleep 0.1; done
export PGHOST=127.0.0.1 PGPORT=$port PGUSER=root PGDATABASE=defaultdb PGOPTIONS=${PGOPTIONS:-}

"$bin/pgbench" -q -i -s "$scale" >/dev/null 2>"$dir/init.err" || { tail -3 "$dir/init.err" >&2; exit 1; }
at_rate=()
[ "$rate" = 0 ] || at_rate=(-R "$rate")
load() { # load NAME SECONDS
  (cd "$dir" && exec "$bin/pgbench" -n -M prepared -s "$scale" -c "$clients" -j 2 -T "$2" "${at_rate[@]}" --max-tries=20 \
    -l --log-prefix="$1" >"$1.out" 2>"$1.err")
}
percentiles() {
  sort -n | awk -v name="$1" '{a[NR] = $1} END {if (NR) printf "%-8s %7d transactions  p50 %.1f  p95 %.1f  p99 %.1f  max %.1f ms\n",
    name, NR, a[int(NR * .5) + 1], a[int(NR * .95) + 1], a[int(NR * .99) + 1], a[NR]}'
}
report() { # report NAME [FROM TO]: seconds since 1970
  cat "$dir/$1".[0-9]* | awk -v from="${2:-0}" -v to="${3:-9999999999}" '$5 >= from && $5 <= to {print $3 / 1000}' | percentiles "$1"
}
sql() { "$bin/psql" -Atqc "$1" 2>/dev/null || true; }
# alternate has the build paused every other $ALTERNATE seconds, and keeps the
# windows of both kinds, without their first second.
alternate() {
  local job
  "$bin/psql" -qc "$index" >/dev/null 2>&1 &
  until job=$(sql "select job_id from cairn.jobs") && [ -n "$job" ]; do sleep 0.2; done
  while [ "$(sql "select status from cairn.jobs")" != succeeded ]; do
    sql "select cairn.resume_job($job)" >/dev/null
    echo "$(($(date +%s) + 1)) $(($(date +%s) + ALTERNATE))" >>"$dir/building"
    sleep "$ALTERNATE"
    sql "select cairn.pause_job($job)" >/dev/null
    echo "$(($(date +%s) + 1)) $(($(date +%s) + ALTERNATE))" >>"$dir/paused"
    sleep "$ALTERNATE"
  done
  sed -i '$d' "$dir/building" "$dir/paused" # it ended in the last
}
windows() { # windows NAME: the latencies in the windows of a kind
  cat "$dir"/during.[0-9]* | awk 'NR == FNR {from[NR] = $1; to[NR] = $2; n = NR; next}
    {for (i = 1; i <= n; i++) if ($5 >= from[i] && $5 <= to[i]) {print $3 / 1000; break}}' "$dir/$1" - | percentiles "$1"
}
load warm ${WARM:-10}
load before "$secs"
report before
load during 100000 &
bench=$!
sleep 2
began=$(date +%s)
if [ -n "${ALTERNATE:-}" ]; then alternate; else "$bin/psql" -qc "$index" 2>/dev/null; fi
ended=$(date +%s)
pkill -INT -P $bench -x pgbench 2>/dev/null || kill -INT $bench 2>/dev/null || true
wait $bench 2>/dev/null || true
if [ -n "${ALTERNATE:-}" ]; then
  windows paused
  windows building
else
  report during "$began" "$ended"
fi
echo "the index took $((ended - began)) s; $(sql "select rows_done || ' rows, resumed ' || resumed || ' times' from cairn.jobs")"
load after "$secs"
report after
