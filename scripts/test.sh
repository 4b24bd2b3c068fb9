#!/usr/bin/env bash
# Every test: formatting, vet, staticcheck, all packages under the race detector
# (those that need a TAP included), the heavy ones without it, each fuzz target
# for some seconds, the scripts, and a small run of the demonstration. What is
# skipped is listed at the end with its reason. It takes about 7 minutes on two processors.
#
# FUZZTIME (default 2s) is the time for each fuzz target.
set -euo pipefail
case ${1:-} in
-h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" && exit ;;
?*) echo "$0: takes no argument; see --help" >&2 && exit 2 ;;
esac
cd "$(dirname "$0")/.."
. scripts/need.sh
need_go
need gcc gcc # the race detector needs cgo
if [[ $EUID -eq 0 ]]; then
	need ip iproute2
	need smbclient smbclient
	need taskset util-linux
	need ethtool ethtool
	need smbd samba
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GOTMPDIR=$work # nothing is left behind on Ctrl-C
began=$SECONDS
step() { echo "== $* ($((SECONDS - began)) s)"; }

step "format, vet, staticcheck"
unformatted=$(git ls-files '*.go' | xargs gofmt -l)
[[ -z $unformatted ]] || { echo "not formatted by gofmt:"; echo "$unformatted"; exit 1; }
go vet ./...
go tool staticcheck ./...
for script in scripts/*.sh .ci/run; do
	bash -n "$script"
done
go mod tidy -diff >"$work/tidy" || { echo "go.mod is not tidy:"; cat "$work/tidy"; exit 1; }

# run_tests NAME ARG...: go test, the whole output into a file, what matters shown.
run_tests() {
	local log=$work/$1.log
	shift
	if ! go test -count=1 -v "$@" >"$log" 2>&1; then
		# What the tests that failed have said, which may stand far before the line that says so.
		awk 'NR == FNR { failed[$3]; next } $1 == "===" { name = $3; next } !/^ *---/ && name in failed' \
			<(grep -E '^ *--- FAIL' "$log") "$log" | tail -n 60
		grep -E '^ *--- FAIL' "$log" || true
		grep -E -A 30 '^(panic:|WARNING: DATA RACE|goleak:)' "$log" | head -n 60 || true
		grep -E '^FAIL' "$log"
		exit 1
	fi
	grep -E '^(ok|FAIL|\?)' "$log" | grep -v 'no test files' || true
	# The last that a test has said before "--- SKIP: Name (0.00s)", which may stand far behind it.
	awk '$1 == "===" { name = $3; next }
		/^ *[[:alnum:]_]+\.go:[0-9]+: / { sub(/^[^:]*:[0-9]+: /, ""); why[name] = $0 }
		/--- SKIP/ { print $3 ": " why[$3] }' "$log" >"$work/skipped"
}

# heavy is a pattern of the tests that the last run skipped, and of those that
# carry less data under the race detector.
heavy() {
	echo "^($(awk -F'[:/]' '{print $1}' "$work/skipped" | sort -u | tr '\n' '|')TestEveryByteIsRight|TestEightBulkFlows.*|TestTheRingWraps.*|TestNothingIsTakenForLost.*)$"
}

step "tests, race detector on"
run_tests race -race -timeout 280s ./...

# What the race detector makes too slow, or counts otherwise, and so skips.
step "the tests that the race detector skips, without it"
run_tests heavy -timeout 240s -run "$(heavy)" ./...

step "fuzz targets"
scripts/fuzz.sh "${FUZZTIME:-2s}"

step "scripts and a small demonstration"
if [[ $EUID -eq 0 && -c /dev/net/tun ]]; then
	scripts/test-lab.sh
	scripts/test-user.sh
	scripts/test-kerberos.sh
	scripts/demo.sh --size 16MiB --rounds 1 --json "$work/demo.json" >"$work/demo.log" 2>&1 || { cat "$work/demo.log"; exit 1; }
	cat "$work/demo.log"
	# One test a line: the shell does not end where the first half of an && fails.
	[[ $(grep -c '"sha256_ok": true' "$work/demo.json") -ge 2 ]]
	[[ $(grep -c '"sha256_ok": false' "$work/demo.json") -eq 0 ]]
else
	[[ ${CI:-} != true ]] || { echo "no root or no /dev/net/tun in CI"; exit 1; }
	echo "the lab and the demonstration: need root and /dev/net/tun" >>"$work/skipped"
fi

if [[ -s $work/skipped ]]; then
	step "skipped"
	cat "$work/skipped"
fi
step "all passed"
