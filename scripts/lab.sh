#!/usr/bin/env bash
# The lab: two network namespaces on this machine, and two ways from one to the other.
#
#   ustack-NAME-c (client)                      ustack-NAME-s (server)
#   +--------------------------+                +------------------------+
#   |  ustack0  10.77.0.1/24   |                |                        |
#   |           fd77::1/64     |                |                        |
#   |    |  TAP, multi-queue   |                |                        |
#   |    +-- ustack serve at   |                |                        |
#   |        10.77.0.2         |                |                        |
#   |        fd77::2           |                |                        |
#   |                          |      veth      |                        |
#   |  veth0    10.78.0.1/24 --+----------------+-- veth0  10.78.0.2/24  |
#   |           fd78::1/64     |                |          fd78::2/64    |
#   |  veth1    10.80.0.1/24 --+----------------+-- veth1  10.80.0.2/24  |
#   +--------------------------+                +------------------------+
#
# A server on user-space TCP runs in the client's namespace and owns the far end
# of the TAP; a server on kernel TCP runs in the server's namespace. veth1 is a pair
# with all offloads off, and is there only where ethtool is.
set -eEuo pipefail

usage() {
	cat <<'TXT'
usage: lab.sh [-n NAME] up|down|status
       lab.sh [-n NAME] exec client|server COMMAND [ARG ...]

up is idempotent, and one that fails takes away what it has made; down takes away
what up made, and nothing else: processes that are still in a namespace are told, go
on, and keep it, without a name, until they end. NAME (default: "lab") tells labs
apart, so that two can stand at once.
TXT
	exit "${1:-2}"
}

name=lab
while getopts n:h opt; do
	case $opt in
	n) name=$OPTARG ;;
	h) usage 0 ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[[ $name =~ ^[a-z0-9]{1,12}$ ]] || { echo "lab.sh: bad name '$name': want 1 to 12 of a-z and 0-9" >&2; exit 2; }

client=ustack-$name-c
server=ustack-$name-s
state=/run/ustack/lab
# A file for each namespace that up has made, which says which one it was: another
# of the same name is not ours.
mark() { echo "$state/$1"; }
identity() { stat -Lc %i "/run/netns/$1"; }

exists() { ip netns list | awk '{print $1}' | grep -qxF "$1"; }
ours() { exists "$1" && [[ -e $(mark "$1") && $(cat "$(mark "$1")") == $(identity "$1") ]]; }

make_netns() {
	if exists "$1"; then
		ours "$1" || { echo "lab.sh: a namespace $1 is there that this script did not make" >&2; return 1; }
		return 0
	fi
	ip netns add "$1"
	mkdir -p "$state"
	identity "$1" >"$(mark "$1")"
	ip -n "$1" link set lo up
	# Loads that connect and close again and again: the kernel keeps each of their
	# connections for a minute, and has to find ports for the next.
	ip netns exec "$1" sh -c 'echo 10240 65535 >/proc/sys/net/ipv4/ip_local_port_range; echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse'
}

# Kernels differ in their default congestion control: both ends are to run the
# same, whoever opens the socket. A route can say so without a change to the host.
use_cubic() { # NAMESPACE DEVICE SUBNET4 ADDRESS4 SUBNET6
	ip -n "$1" route replace "$3" dev "$2" proto kernel scope link src "$4" congctl cubic
	ip -n "$1" -6 route replace "$5" dev "$2" proto kernel metric 256 congctl cubic
}

# set_offloads_off NAMESPACE DEVICE
set_offloads_off() {
	ip netns exec "$1" ethtool -K "$2" tso off gso off gro off sg off tx off rx off >/dev/null
}

has_link() { ip -n "$1" link show "$2" >/dev/null 2>&1; }

make_links() {
	if ! has_link "$client" ustack0; then
		ip -n "$client" tuntap add dev ustack0 mode tap multi_queue vnet_hdr
		ip -n "$client" addr add 10.77.0.1/24 dev ustack0
		ip -n "$client" addr add fd77::1/64 dev ustack0 nodad
		ip -n "$client" link set ustack0 up
		use_cubic "$client" ustack0 10.77.0.0/24 10.77.0.1 fd77::/64
	fi
	if ! has_link "$client" veth0; then
		ip -n "$client" link add veth0 type veth peer name veth0 netns "$server"
		ip -n "$client" addr add 10.78.0.1/24 dev veth0
		ip -n "$client" addr add fd78::1/64 dev veth0 nodad
		ip -n "$server" addr add 10.78.0.2/24 dev veth0
		ip -n "$server" addr add fd78::2/64 dev veth0 nodad
		ip -n "$client" link set veth0 up
		ip -n "$server" link set veth0 up
		use_cubic "$client" veth0 10.78.0.0/24 10.78.0.1 fd78::/64
		use_cubic "$server" veth0 10.78.0.0/24 10.78.0.2 fd78::/64
	fi
	if command -v ethtool >/dev/null && ! has_link "$client" veth1; then
		ip -n "$client" link add veth1 type veth peer name veth1 netns "$server"
		ip -n "$client" addr add 10.80.0.1/24 dev veth1
		ip -n "$server" addr add 10.80.0.2/24 dev veth1
		set_offloads_off "$client" veth1
		set_offloads_off "$server" veth1
		ip -n "$client" link set veth1 up
		ip -n "$server" link set veth1 up
	fi
}

# What of the lab is there, each name in spaces.
parts() {
	local ns dev
	for ns in "$client" "$server"; do
		if exists "$ns"; then echo -n " $ns "; fi
	done
	for dev in ustack0 veth0 veth1; do
		if has_link "$client" "$dev"; then echo -n " $dev "; fi
	done
}

# take_back PARTS takes away what up has made beyond these, which were there before.
take_back() {
	local ns dev
	for dev in ustack0 veth0 veth1; do
		if ours "$client" && [[ $1 != *" $dev "* ]]; then
			ip -n "$client" link del "$dev" 2>/dev/null || true # and its peer
		fi
	done
	for ns in "$client" "$server"; do
		if [[ $1 != *" $ns "* ]]; then
			ip netns delete "$ns" 2>/dev/null || true
			rm -f "$(mark "$ns")"
		fi
	done
	forget_state
}

up() {
	local before
	before=$(parts)
	trap 'trap - ERR INT TERM; take_back "$before"; exit 130' INT TERM
	trap 'trap - ERR INT TERM; echo "lab.sh: could not put up the lab; taking away what was made for it" >&2; take_back "$before"; exit 1' ERR
	make_netns "$client"
	make_netns "$server"
	make_links
	trap - ERR INT TERM
}

down() {
	local ns
	for ns in "$client" "$server"; do
		if ours "$ns"; then
			tell_inside "$ns"
			ip netns delete "$ns" # its devices go with it, or with the last process in it
		fi
		rm -f "$(mark "$ns")"
	done
	forget_state
}

# How many processes are named at most.
most_named=5

# tell_inside NAMESPACE says which processes keep it when its name is gone.
tell_inside() {
	local pid command n=0 said=''
	for pid in $(ip netns pids "$1" || true); do
		command=$({ tr '[:cntrl:]' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null) || continue # it has ended
		n=$((n + 1))
		command=${command% }
		[[ $n -gt $most_named ]] || said+="${said:+, }$pid (${command:0:80})"
	done
	[[ $n -le $most_named ]] || said+=" and $((n - most_named)) more"
	[[ $n -eq 0 ]] || echo "lab.sh: $1 loses its name, and is there with its devices until these have ended: $said" >&2
}

# forget_state takes away the directories of the marks, unless there are others.
forget_state() {
	rmdir "$state" 2>/dev/null || true
	rmdir /run/ustack 2>/dev/null || true
}

status() {
	local ns
	for ns in "$client" "$server"; do
		if ours "$ns"; then
			echo "$ns: up"
			ip -n "$ns" -br addr show | sed 's/^/  /'
		else
			echo "$ns: down"
		fi
	done
	ours "$client" && ours "$server"
}

[[ $# -ge 1 ]] || usage
verb=$1
shift
case $verb in
up | down | status)
	[[ $# -eq 0 ]] || usage
	command -v ip >/dev/null || { echo "lab.sh: needs ip (Debian: apt-get install iproute2)" >&2; exit 1; }
	[[ $verb == status || $EUID -eq 0 ]] || { echo "lab.sh: namespaces need root" >&2; exit 1; }
	if [[ $verb != status ]]; then
		exec 9<"${BASH_SOURCE[0]}"
		flock 9 # one up or down at a time
	fi
	"$verb"
	;;
exec)
	[[ $# -ge 2 ]] || usage
	case $1 in
	client) ns=$client ;;
	server) ns=$server ;;
	*) usage ;;
	esac
	shift
	ours "$ns" || { echo "lab.sh: the lab '$name' is not up: lab.sh -n $name up" >&2; exit 1; }
	exec ip netns exec "$ns" "$@"
	;;
*) usage ;;
esac
