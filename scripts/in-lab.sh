# Sourced by the scripts that run ustack in a lab that is made for them: takes everything
# down afterwards, on Ctrl-C and failure too.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/scripts/need.sh"

child=
clean() {
	trap - EXIT
	trap '' INT TERM HUP # one more Ctrl-C, also to what takes the lab down, leaves nothing behind
	if [[ -n $child ]]; then
		kill -TERM "$child" 2>/dev/null || true
		wait "$child" 2>/dev/null || true
	fi
	"$root/scripts/lab.sh" -n "$lab" down
	rm -rf "$work"
}

# The commit that is measured, and whether anything differs from it; nothing where git
# does not know, or does not tell root of a tree that is somebody else's.
commit() {
	local id
	id=$(git -C "$root" rev-parse HEAD 2>/dev/null) || return 0
	[[ -z $(git -C "$root" status --porcelain 2>/dev/null) ]] || id+=+modified
	echo "$id"
}

# make_lab DIR: puts up a lab, and builds ustack into DIR, the script's own.
make_lab() {
	work=$1 lab=r$$
	trap clean EXIT
	trap "trap '' INT TERM HUP; exit 130" INT
	trap "trap '' INT TERM HUP; exit 143" TERM HUP
	GOTMPDIR=$work go -C "$root" build -ldflags "-X main.commit=$(commit)" -o "$work/ustack" ./cmd/ustack
	"$root/scripts/lab.sh" -n "$lab" up
}

need_lab() {
	[[ $EUID -eq 0 ]] || { echo "$0: needs root, for network namespaces and a TAP device" >&2; exit 1; }
	need ip iproute2
	need_go
}

# inside client|server COMMAND [ARG ...]: runs a command there, in the place of the caller's shell.
inside() { exec "$root/scripts/lab.sh" -n "$lab" exec "$@"; }

# start_server SIDE LOG SERVICE [ARG ...]: "ustack serve", once it serves. stop_server ends it.
start_server() {
	local side=$1 log=$2
	shift 2
	: >"$log"
	(inside "$side" "$work/ustack" serve "$@" --control "$work/control") 2>"$log" &
	child=$! # becomes ustack
	until grep -q msg=serving "$log"; do
		kill -0 "$child" 2>/dev/null || { cat "$log" >&2; exit 1; }
		sleep 0.05
	done
}

stop_server() {
	kill "$child"
	wait "$child" || true
	child=
}

# in_lab COMMAND ARG...: COMMAND is one of ustack's that takes --lab.
in_lab() {
	need_lab
	need taskset util-linux
	# In memory where there is a place: what is compared is the network, and a disk
	# that has to write back what one stack put slows the other down.
	make_lab "$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)"
	local command=$1 status=0
	shift
	TMPDIR=$work "$work/ustack" "$command" --lab "$lab" "$@" &
	child=$!
	wait "$child" || status=$?
	child=
	exit "$status"
}
