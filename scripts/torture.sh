#!/usr/bin/env bash
# Runs Samba's smbtorture against "ustack serve smb", in a lab of its own, and prints a
# table: what passed, failed and was skipped of each suite.
#
#   torture.sh [--stack netstack|kernel] [--out DIR] [SUITE ...]
#
# SUITE is a name of "smbtorture --list-suites", such as smb2.create; by default all of
# smb2 but those that take very long or only measure. With --out the output of each suite is
# kept. The server takes requests of up to 8 MiB (--max-io), as Samba does, for which one test
# asks. base.*, raw.* and unix.* are of SMB1, which the server allows then. A suite may take 60 s, one of leases, oplocks, notifications, replay or channels
# 280 s. It ends with 1 if the server did not live through it.
set -euo pipefail
. "$(dirname "$0")/in-lab.sh"

stack=netstack out= suites=()
while [[ $# -gt 0 ]]; do
	case $1 in
	--stack) stack=${2:?--stack wants netstack or kernel} && shift ;;
	--out) out=${2:?--out wants a directory} && shift ;;
	-h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" && exit ;;
	-*) echo "$0: no option $1; see --help" >&2 && exit 2 ;;
	*) suites+=("$1") ;;
	esac
	shift
done
case $stack in
netstack) side=client at=10.77.0.2 addr=10.77.0.2/24 ;;
kernel) side=server at=10.78.0.2 addr=10.78.0.2 ;;
*) echo "$0: --stack $stack: want netstack or kernel" >&2 && exit 2 ;;
esac
need_lab
need smbtorture samba-testsuite
mapfile -t known < <(smbtorture --list-suites | tr -d ' ')
for suite in "${suites[@]}"; do # or one test of a suite
	[[ " ${known[*]} " == *" $suite "* || " ${known[*]} " == *" ${suite%.*} "* ]] || { echo "$0: smbtorture has no suite $suite" >&2; exit 2; }
done
need smbclient smbclient
need iptables iptables
make_lab "$(mktemp -d)"
out=${out:-$work/out}
mkdir -p "$out" "$work/share"
exec_in=("$root/scripts/lab.sh" -n "$lab" exec client) # for timeout, which runs no function

if [[ ${#suites[@]} -eq 0 ]]; then
	# What only measures, or holds connections for minutes, is no test of the server.
	mapfile -t suites < <(printf '%s\n' "${known[@]}" | grep '^smb2\.' | grep -vE '^smb2\.(aio_delay|hold-.*|bench.*)$')
fi

"$work/ustack" smb user add --user-file "$work/users" --password secret-1 tester >/dev/null
start() { # [OPTION ...]
	start_server "$side" "$out/server.log" smb --stack "$stack" --addr "$addr" --share "share=$work/share" --user-file "$work/users" --max-io 8MiB \
		--min-protocol "$least" "$@"
}
restart() {
	stop_server
	cat "$out/server.log" >>"$out/server.log.earlier"
	start "$@"
}
least=SMB2_02
[[ ! " ${suites[*]}" =~ \ (base|raw|unix)\. ]] || least=NT1
start

# What suites want to be told: smb2.ea a name that no EA may have, one of the server's own;
# smb2.samba3misc the share's directory; smb2.set-sparse-ioctl and smb2.zero-data-ioctl a file of
# it, which the latter does not make, and a range. base.iometer wants the file of the program of that name.
options=(--option=torture:acl_xattr_name=ustack.stream.x --option=torture:localdir="$work/share"
	--option=torture:filename=file --option=torture:offset=4096 --option=torture:beyond_final_zero=12288)

# What a test itself prints may begin with "error: " too; it does not open a bracket.
count() { grep -cE "^$1: ${2:-}" "$out/$suite" || true; }
status=0 passed=0 failed=0 skipped=0
printf '%-40s %6s %6s %6s\n' suite pass fail skip
for suite in "${suites[@]}"; do
	limit=60
	[[ ! $suite =~ lease|oplock|notify$|replay|multichannel ]] || limit=280
	[[ $suite != smb2.session-require-signing ]] || restart --require-signing # is of a server that does
	own=()
	[[ ! $suite =~ ^(base|raw)\. ]] || own=(--option="client min protocol=NT1" --option="client max protocol=NT1")
	# These cut one of their connections off: by packet filters of the client's namespace.
	[[ ! $suite =~ replay|multichannel ]] || own+=(--option=torture:use_iptables=yes --option=torture:iptables_command="$(command -v iptables)")
	[[ $suite != base.iometer ]] || head -c 1M /dev/zero >"$work/share/iobw.tst"
	[[ $suite != smb2.zero-data-ioctl ]] || head -c 16K /dev/zero >"$work/share/file"
	timeout -k 5 "$limit" "${exec_in[@]}" smbtorture "//$at/share" -U tester%secret-1 "$suite" \
		--basedir="$work" "${options[@]}" "${own[@]}" >"$out/$suite" 2>&1 </dev/null && note= || { [[ $? -lt 124 ]] && note= || note="not done in $limit s"; }
	pass=$(count success) fail=$(count "(failure|error)" '.*\[$') skip=$(count skip)
	passed=$((passed + pass)) failed=$((failed + fail)) skipped=$((skipped + skip))
	if ! kill -0 "$child" 2>/dev/null; then
		note+=" THE SERVER HAS ENDED" status=1
		mv "$out/server.log" "$out/server.log.$suite"
		start
	elif ! timeout 10 "${exec_in[@]}" smbclient "//$at/share" -U tester%secret-1 -c ls >/dev/null 2>&1; then
		note+=" THE SERVER DOES NOT ANSWER" status=1
	fi
	printf '%-40s %6d %6d %6d  %s\n' "$suite" "$pass" "$fail" "$skip" "$note"
	[[ $suite != smb2.session-require-signing ]] || restart
	rm -rf "$work/share"/*
done
printf '%-40s %6d %6d %6d\n' total "$passed" "$failed" "$skipped"
exit "$status"
