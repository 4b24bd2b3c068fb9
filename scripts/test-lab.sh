#!/usr/bin/env bash
# The promises of lab.sh: up and down are idempotent, two labs stand side by side,
# an up that fails leaves what was there before and nothing else, what others made is
# left alone, a server that is killed leaves nothing, and down tells who is still inside.
set -euo pipefail
cd "$(dirname "$0")/.."

a=a$$ b=b$$
foreign=ustack-c$$-s
work=$(mktemp -d)
server='' client='' made_foreign=''
clean() {
	trap - EXIT INT TERM
	[[ -z $server ]] || kill -KILL "$server" 2>/dev/null || true
	[[ -z $client ]] || kill -TERM "$client" 2>/dev/null || true
	scripts/lab.sh -n "$a" down
	scripts/lab.sh -n "$b" down
	[[ -z $made_foreign ]] || ip netns delete "$foreign" 2>/dev/null || true
	rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM
fail() { echo "test-lab.sh: $*" >&2; exit 1; }
lab() { local n=$1; shift; scripts/lab.sh -n "$n" "$@"; }
# ours are this run's namespaces: others come and go meanwhile.
ours() { ip netns list | awk '{print $1}' | grep -E "^ustack-[abc]$$-" | sort || true; }

lab "$a" up
lab "$a" up
lab "$b" up
lab "$a" status >/dev/null || fail "status of a lab that is up says that it is down"
lab "$a" exec client ip -br addr show ustack0 | grep -q 10.77.0.1 || fail "no TAP in the client's namespace"
lab "$b" down
lab "$b" down
lab "$b" status >/dev/null && fail "status of a lab that is down says that it is up"
lab "$a" status >/dev/null || fail "taking one lab down took the other too"

# An up that fails in the middle, for an ip that can't set veth0 up.
mkdir "$work/bin"
cat >"$work/bin/ip" <<TXT
#!/bin/sh
[ "\$*" != "\$1 \$2 link set veth0 up" ] || exit 1
exec $(command -v ip) "\$@"
TXT
chmod +x "$work/bin/ip"
was=$(ours)
PATH=$work/bin:$PATH lab "$b" up 2>/dev/null && fail "up does not tell that it failed"
[[ $(ours) == "$was" ]] || fail "an up that failed left namespaces behind, or took others"
id=$(stat -Lc %i "/run/netns/ustack-$a-c")
lab "$a" exec client ip link del veth0
PATH=$work/bin:$PATH lab "$a" up 2>/dev/null && fail "up does not tell that it failed"
lab "$a" status >/dev/null || fail "an up that failed took down a lab that was up"
[[ $(stat -Lc %i "/run/netns/ustack-$a-c") == "$id" ]] || fail "an up that failed made another namespace"
lab "$a" exec client ip -br addr show ustack0 | grep -q 10.77.0.1 || fail "an up that failed took a link that was there"
lab "$a" exec client ip link show veth0 >/dev/null 2>&1 && fail "an up that failed left a link that it had made"
lab "$a" up
lab "$a" exec client ip -br addr show veth0 | grep -q 10.78.0.1 || fail "up does not make the link that is missing"

# A namespace of the name that a lab would use, but that somebody else has made.
ip netns add "$foreign"
made_foreign=1
lab "c$$" up 2>/dev/null && fail "up took a namespace that it had not made"
lab "c$$" down
ip netns list | grep -q "$foreign" || fail "down removed a namespace that it had not made"
ip netns delete "$foreign"
made_foreign=

# A server that is killed while a client writes: its own TAP goes with it.
GOTMPDIR=$work go build -o "$work/ustack" ./cmd/ustack
scripts/lab.sh -n "$a" exec client "$work/ustack" --log-level error serve sink --tap own0 --addr 10.79.0.2/24 --host-addr 10.79.0.1/24 \
	--control "$work/control" &
server=$!
for _ in $(seq 100); do
	[[ -S $work/control ]] && break
	kill -0 "$server" || fail "the server did not start"
	read -rt 0.1 <> <(:) || true
done
scripts/lab.sh -n "$a" exec client "$work/ustack" load push --to 10.79.0.2:9 --bytes 64GiB >/dev/null 2>&1 &
client=$!
for _ in $(seq 100); do
	in=$("$work/ustack" stats --json "$work/control" | sed -n 's/.*"total":{"bytes_in":\([0-9]*\).*/\1/p')
	[[ ${in:-0} -gt 0 ]] && break
	read -rt 0.1 <> <(:) || true
done
[[ ${in:-0} -gt 0 ]] || fail "no byte arrived"
kill -KILL "$server"
wait "$server" 2>/dev/null || true
server=
lab "$a" exec client ip link show own0 >/dev/null 2>&1 && fail "the device of a killed server is still there"
kill "$client" 2>/dev/null || true
wait "$client" 2>/dev/null || true
client=

# Who is still inside when its namespace loses its name is told.
scripts/lab.sh -n "$a" exec client sleep 60 &
client=$!
until [[ $(tr '\0' ' ' <"/proc/$client/cmdline") == "sleep 60 " ]]; do
	kill -0 "$client" || fail "no process in the namespace"
	read -rt 0.1 <> <(:) || true
done
lab "$a" down 2>"$work/said" || fail "down fails for a process in the namespace"
grep -q "^lab.sh: ustack-$a-c .*: $client (sleep 60)\$" "$work/said" || fail "down does not tell who is still in the namespace: $(cat "$work/said")"
lab "$a" down 2>"$work/said"
[[ ! -s $work/said ]] || fail "down of what is down says: $(cat "$work/said")"
kill "$client"
wait "$client" 2>/dev/null || true
client=
[[ -z $(ours) ]] || fail "namespaces are left behind"
echo "lab: up, down, side by side, others left alone, nothing left of a killed server, who is still inside told"
