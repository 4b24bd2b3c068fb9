#!/usr/bin/env bash
# Runs each fuzz target for some time, as many at once as there are processors.
#
# usage: fuzz.sh [TIME [PATTERN]]   TIME (default 2s) is for each target whose name
#                                   matches the regular expression PATTERN
#
# A failing input is kept under the package's testdata/fuzz, where "go test" runs it
# from then on.
set -euo pipefail
case ${1:-} in
-h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" && exit ;;
esac
cd "$(dirname "$0")/.."
. scripts/need.sh
need_go
fuzztime=${1:-2s}
pattern=${2:-.}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM # the targets get the signal from the terminal

# An instrumented test binary for each package that has targets: they share it.
targets=()
while read -r pkg dir; do
	names=$(cat "$dir"/*_test.go 2>/dev/null | grep -oE '^func Fuzz[A-Za-z0-9_]+' | awk '{print $2}' | grep -E "$pattern" | sort -u) || continue
	GOTMPDIR=$work go test -c -fuzz . -o "$work/${pkg//\//-}.test" "$pkg"
	for name in $names; do
		targets+=("$pkg $dir $name")
	done
done < <(go list -f '{{.ImportPath}} {{.Dir}}' ./...)
[[ ${#targets[@]} -gt 0 ]] || { echo "fuzz.sh: no target matches '$pattern'" >&2; exit 1; }

# only_late LOG: the run failed by its own time limit and by nothing else. Go before
# 1.27 now and then takes the end of -fuzztime for a failure (go.dev/issue/75804). One that
# found something names the input that it has written.
only_late() {
	grep -qE '^--- FAIL: Fuzz' "$1" &&
		[[ $(sed -n '/^--- FAIL: Fuzz/,$p' "$1" | sed 1d | grep -vxE 'FAIL|exit status [0-9]+' | tr -d ' \n') == contextdeadlineexceeded ]]
}

run() { # PACKAGE DIR NAME
	local log=$work/$3.log time=$fuzztime
	# What is stored is said first, and whole conversations take seconds for that.
	[[ ! $3 =~ ^Fuzz(Frames|Members|Recorded|(SMB1)?Session|Tickets)$ || $time != *s ]] || time=10s$time
	# The corpus that grows is kept where "go test -fuzz" keeps it too. Inputs are not made
	# smaller: where goroutines make coverage differ from run to run, all the time would go to that.
	if ! (cd "$2" && "$work/${1//\//-}.test" -test.run '^$' -test.fuzz "^$3\$" -test.fuzztime "$time" \
		-test.parallel 1 -test.fuzzminimizetime 1x -test.fuzzcachedir "$(go env GOCACHE)/fuzz/$1") >"$log" 2>&1 && ! only_late "$log"; then
		cat "$log"
		return 1
	fi
	echo "$1 $3: $(grep -oE 'execs: [0-9]+' "$log" | tail -n 1 | grep . || echo 'what is stored')"
}

failed=0
running=0
for target in "${targets[@]}"; do
	if [[ $running -ge $(nproc) ]]; then
		wait -n || failed=1
		running=$((running - 1))
	fi
	read -r pkg dir name <<<"$target"
	run "$pkg" "$dir" "$name" &
	running=$((running + 1))
done
while [[ $running -gt 0 ]]; do
	wait -n || failed=1
	running=$((running - 1))
done
exit "$failed"
