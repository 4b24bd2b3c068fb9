#!/usr/bin/env bash
# The demonstration: serves a directory from user-space TCP to smbclient, from kernel TCP
# to the same client, and from Samba's smbd where it can be had, and prints one table of all. Arguments go to
# "ustack demo" (--json FILE, --size 256MiB, --rounds 3).
set -euo pipefail
. "$(dirname "$0")/in-lab.sh"
if [[ $EUID -eq 0 ]]; then
	need smbclient smbclient
	want smbd samba
fi
in_lab demo "$@"
