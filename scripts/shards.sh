#!/usr/bin/env bash
# Measures what a second shard gives: the same loads against "ustack serve" with one
# shard and with as many as there are processors (at most four), in turns, in a lab of its own. Both
# servers have as many threads for Go's code as the larger number of shards (--procs), so that it is the
# shards that differ: with one shard too, handlers have a processor besides the loop's. Nothing is pinned:
# shards, handlers and client share the processors, as on a machine that has no more of them.
# ROUNDS (default 3) is how often, SECONDS_EACH (default 2) for how long.
set -euo pipefail
. "$(dirname "$0")/in-lab.sh"
need_lab
rounds=${ROUNDS:-3} each=${SECONDS_EACH:-2}
unset GOMAXPROCS # it would go before --procs
make_lab "$(mktemp -d)"

# once SHARDS SERVICE LOAD...: one load against one server.
once() {
	local shards=$1 service=$2
	shift 2
	start_server client "$work/log" "$service" --addr 10.77.0.2/24 --shards "$shards" --procs "$most"
	printf '%-7s %d  ' "$service" "$shards"
	(inside client "$work/ustack" load "$@" --for "${each}s")
	stop_server
}

most=$(($(nproc) < 4 ? $(nproc) : 4))
echo "service shards"
for load in "sink push --to 10.77.0.2:9 --flows 16" "echo ping --to 10.77.0.2:7 --flows 64 --size 4096"; do
	for _ in $(seq "$rounds"); do
		for shards in 1 "$most"; do
			# shellcheck disable=SC2086 # words
			once "$shards" $load
		done
	done
done
