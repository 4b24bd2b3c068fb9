#!/usr/bin/env bash
# Measures user-space TCP against kernel TCP in a lab of its own. Arguments go to
# "ustack bench" (--rounds 5, --json, --only NAME, ...).
set -euo pipefail
. "$(dirname "$0")/in-lab.sh"
in_lab bench "$@"
