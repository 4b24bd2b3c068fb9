#!/usr/bin/env bash
# The promise of "ustack serve --user" on a TAP: the server that has become a user has no capability left, and still
# serves, also when queues of the TAP are attached after that; what it makes is the user's, and it leaves nothing behind. Once
# for a program without C, and once for one with it, where threads are reached in another way.
set -euo pipefail
. "$(dirname "$0")/in-lab.sh"
need_lab
need smbclient smbclient
fail() { echo "test-user.sh: $*" >&2; exit 1; }

make_lab "$(mktemp -d)"
chmod 711 "$work"
mkdir -m 700 "$work/share"
chown nobody "$work/share"
head -c 64M /dev/zero >"$work/sent"

for cgo in 0 1; do
	CGO_ENABLED=$cgo GOTMPDIR=$work go -C "$root" build -o "$work/ustack" ./cmd/ustack
	start_server client "$work/log" smb --tap own0 --addr 10.79.0.2/24 --host-addr 10.79.0.1/24 --share "pub=$work/share" --user nobody \
		--audit "$work/share/audit"
	for task in /proc/"$child"/task/*/status; do
		[[ $(grep -cE '^Cap(Inh|Prm|Eff|Amb):\s+0{16}$' "$task") -eq 4 ]] || fail "a thread has capabilities: $(grep ^Cap "$task")"
		grep -qE '^NoNewPrivs:\s+1$' "$task" || fail "a thread may get privileges"
		grep -qE "^Uid:(\s+$(id -u nobody)){4}$" "$task" || fail "a thread is not nobody: $(grep ^Uid "$task")"
	done
	# Several flows at once, for which queues are attached.
	puts=()
	for n in 1 2 3 4; do
		(inside client smbclient -N //10.79.0.2/pub -c "put $work/sent file$n") >"$work/put$n" 2>&1 &
		puts+=($!)
	done
	for put in "${puts[@]}"; do
		wait "$put" || fail "a file could not be put: $(cat "$work"/put*)"
	done
	for n in 1 2 3 4; do
		cmp -s "$work/sent" "$work/share/file$n" || fail "file$n is not what was put"
		[[ $(stat -c %U "$work/share/file$n") == nobody ]] || fail "file$n is not nobody's"
	done
	queues=$("$work/ustack" stats --json "$work/control" | sed -n 's/.*"queues":\([0-9]*\).*/\1/p')
	grep -q '"event":"log-on"' "$work/share/audit" || fail "no audit log"
	stop_server
	! grep -E 'level=ERROR|panic|DATA RACE' "$work/log" || fail "the log tells of errors"
	(inside client ip link show own0) >/dev/null 2>&1 && fail "the device is still there"
	rm -f "$work"/share/*
	echo "CGO_ENABLED=$cgo: served without capabilities, by $queues queues"
done
