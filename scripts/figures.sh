#!/usr/bin/env bash
# Measures anew and writes the figures into README.md: what stands between the
# markers there is what "ustack demo" and "ustack compare" print; the latter writes
# docs/results.md too. Takes half an hour; nothing else should run meanwhile. Arguments
# go to "ustack compare", which refuses those that ask for a part. What stands around the
# figures is written by hand, and is to be read again afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
done=
trap '[[ -n $done ]] && rm -rf "$work" || echo "figures.sh: not whole; what was measured is in $work" >&2' EXIT

# First what refuses to measure a part.
scripts/compare.sh --out "$work/compare" --results docs/results.md "$@" >"$work/bench"
scripts/demo.sh --rounds 5 >"$work/demo"
for block in demo bench; do
	awk -v block="$block" -v file="$work/$block" '
		$0 == "<!-- " block " -->" {
			print; print ""
			while ((getline line < file) > 0) if (line != "" || seen) { seen = 1; sub(/ +$/, "", line); print (line == "" ? "" : "    " line) }
			print ""; skip = 1
		}
		$0 == "<!-- /" block " -->" { skip = 0 }
		!skip' README.md >"$work/readme"
	grep -q "<!-- /$block -->" "$work/readme"
	cp "$work/readme" README.md
done
done=1
cat >&2 <<'END'
figures.sh: the figures are new, what is said of them is not. To be read again against them:
  README.md, the prose below both tables (what the demonstration shows; how the figures came
  about, and "So, on this machine, ...");
  docs/results.md, its first lines, and all below the last mark ("Below its goal, and why").
END
