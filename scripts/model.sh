#!/usr/bin/env bash
# Has 24 clients work on one tree at the same time, and compares all that they see with
# a model.
#
# usage: model.sh [TIME [SEED]]   TIME (default 10m) as Go writes it; SEED is one that a
#                                 run has printed: the clients do the same work again,
#                                 though not in the same order
set -euo pipefail
case ${1:-} in
-h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" && exit ;;
esac
cd "$(dirname "$0")/.."
. scripts/need.sh
need_go
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM # the clients, whose tree is in there, get the signal from the terminal
GOTMPDIR=$work TMPDIR=$work go test ./smbproto -count=1 -v -timeout 0 -run '^TestManyClientsSeeWhatAModelSays$' \
	-model.time "${1:-10m}" -model.seed "${2:-0}" | grep -v '^=== '
