#!/usr/bin/env bash
# Measures user-space TCP against kernel TCP and other baselines, in a lab of its own.
# Arguments go to "ustack compare" (--out DIR, --quick, --only REGEXP, --pairs N, ...).
set -euo pipefail
. "$(dirname "$0")/in-lab.sh"
if [[ $EUID -eq 0 ]]; then
	need ethtool ethtool # for a veth pair without offloads
	# A quick comparison goes without Samba, and any other can.
	[[ " $* " == *" --quick "* ]] || want smbd samba
fi
in_lab compare "$@"
