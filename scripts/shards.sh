#!/usr/bin/env bash
# Measures what a second shard gives: the same loads against "ustack serve" with one
# shard and with as many as there are processors (at most four), in turns, in a lab of its own. Nothing is pinned: shards,
# handlers and client share the processors, as on a machine that has no more of them.
# ROUNDS (default 3) is how often, SECONDS_EACH (default 2) for how long.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/need.sh"
[[ $EUID -eq 0 ]] || { echo "$0: needs root, for network namespaces and a TAP device" >&2; exit 1; }
need ip iproute2
need_go
rounds=${ROUNDS:-3} each=${SECONDS_EACH:-2}
lab=s$$ server=
work=$(mktemp -d)
clean() {
	trap - EXIT INT TERM HUP
	[[ -z $server ]] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
	"$root/scripts/lab.sh" -n "$lab" down
	rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
GOTMPDIR=$work go -C "$root" build -o "$work/ustack" ./cmd/ustack
"$root/scripts/lab.sh" -n "$lab" up
inside=("$root/scripts/lab.sh" -n "$lab" exec client "$work/ustack") # becomes ustack: its process id is the server's

# once SHARDS SERVICE LOAD...: one load against one server.
once() {
	local shards=$1 service=$2
	shift 2
	: >"$work/log"
	"${inside[@]}" serve "$service" --addr 10.77.0.2/24 --shards "$shards" --control "$work/control" 2>"$work/log" &
	server=$!
	until grep -q msg=serving "$work/log"; do
		kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
		sleep 0.05
	done
	printf '%-7s %d  ' "$service" "$shards"
	"${inside[@]}" load "$@" --for "${each}s"
	kill "$server"
	wait "$server" || true
	server=
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
