#!/usr/bin/env bash
# The demonstration: serves a directory from user-space TCP to smbclient, and from
# kernel TCP to the same client, and prints one table of both. Arguments go to
# "ustack demo" (--json FILE, --size 256MiB, --rounds 3).
set -euo pipefail
. "$(dirname "$0")/in-lab.sh"
[[ $EUID -ne 0 ]] || need smbclient smbclient
in_lab demo "$@"
